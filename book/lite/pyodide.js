// The Pyodide of the book's pages, started for a notebook: the kernel of JupyterLite loads this file in its
// worker as if it were pyodide.js. One copy of Pyodide serves both, and the data of the course are where
// nnlib.data looks for them. A file is fetched when it is first read: only a chapter that trains on MNIST
// waits for MNIST. Neither needs the service worker, through which the kernel sees the reader's own files.
self.loadPyodide = async (options) => {
  const here = options.indexURL; // the folder of this file
  const home = new URL("../../_static/pyodide/", here).href;
  const course = await (await fetch(new URL("course.json", here), { cache: "no-cache" })).json();
  importScripts(`${home}pyodide.js`); // defines the real loadPyodide
  const pyodide = await self.loadPyodide({
    ...options,
    indexURL: home,
    lockFileURL: new URL(`pyodide-lock.json?${course.lock}`, here).href,
    env: { NNLIB_DATA: "/home/data" }, // also ../data of the folder that a kernel without a drive works in
  });
  for (const [path, file] of Object.entries(course.data)) {
    const [, folder, name] = path.match(/(.*)\/(.*)/);
    pyodide.FS.mkdirTree(folder);
    pyodide.FS.createLazyFile(folder, name, new URL(file, here).href, true, false);
  }
  // Matplotlib would say in the first cell of each chapter that it looks for fonts.
  pyodide.runPython('import logging; logging.getLogger("matplotlib.font_manager").setLevel("ERROR")');
  return pyodide;
};
