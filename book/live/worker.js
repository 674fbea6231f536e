// nnlib in a Web Worker: loads the Pyodide that came with the book, then answers requests one by one.
// A request and its answer are the lines of JSON that nnlib/explorers/session.py describes.
"use strict";

const HERE = new URL("./", self.location.href);
const PYODIDE = new URL("../pyodide/", HERE);

const tell = (text) => self.postMessage({ progress: text });

async function start() {
  tell("Loading Python");
  importScripts(new URL("pyodide.js", PYODIDE).href);
  const loading = loadPyodide({
    indexURL: PYODIDE.href,
    lockFileURL: new URL(`pyodide-lock.json${self.location.search}`, PYODIDE).href, // no old copy of it
    packages: ["numpy", "nnlib"],
  });
  const [pyodide] = await Promise.all([loading, coreIsThere()]);
  tell("Starting nnlib");
  const session = pyodide.runPython(`
from nnlib.explorers import ENGINES
from nnlib.explorers.session import Session
Session(ENGINES)
`);
  return { pyodide, handle: session.handle.copy() };
}

// Without its core Pyodide waits for ever. Asked for beside the loading, so that nobody waits for the answer.
async function coreIsThere() {
  const answer = await fetch(new URL("pyodide.asm.wasm", PYODIDE), { method: "HEAD" });
  if (!answer.ok) throw new Error(`pyodide.asm.wasm: HTTP ${answer.status}`);
}

// The MNIST explorer needs images: 2.5 MB that no other explorer has to wait for.
let images;
function fetchImages(pyodide) {
  images ??= (async () => {
    tell("Loading 12 000 digits");
    const answer = await fetch(new URL("mnist-sample.npz", PYODIDE));
    if (!answer.ok) throw new Error(`the digits could not be loaded: HTTP ${answer.status}`);
    pyodide.FS.mkdirTree("/data");
    pyodide.FS.writeFile("/data/mnist-sample.npz", new Uint8Array(await answer.arrayBuffer()));
    pyodide.runPython('import os; os.environ["NNLIB_DATA"] = "/data"');
  })();
  return images;
}

const ready = start();
let queue = ready.then(
  () => self.postMessage({ ready: true }),
  (error) => self.postMessage({ failed: String(error.message ?? error) }),
);

self.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    const { ticket, request } = data;
    try {
      const { pyodide, handle } = await ready;
      if (request.explorer === "mnist") await fetchImages(pyodide);
      self.postMessage({ ticket, answer: handle(JSON.stringify(request)) });
    } catch (error) {
      const answer = JSON.stringify({ id: request.id, error: String(error.message ?? error) });
      self.postMessage({ ticket, answer });
    }
  });
};
