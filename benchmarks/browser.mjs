// node browser.mjs PYODIDE COURSE ROUNDS: runs `browser.rounds_in_pyodide` in Pyodide and prints its answer.
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [pyodideFolder, course, rounds] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(pyodideFolder, "pyodide.mjs")).href);
const started = performance.now();
const pyodide = await loadPyodide({ indexURL: resolve(pyodideFolder), stdout: console.error });
await pyodide.loadPackage("numpy", { messageCallback: () => {} });
pyodide.mountNodeFS("/course", resolve(course));
pyodide.runPython("import sys; sys.path[:0] = ['/course', '/course/benchmarks']; import nnlib");
const startup = (performance.now() - started) / 1000;
pyodide.runPython("import browser");
const answer = JSON.parse(pyodide.runPython(`browser.rounds_in_pyodide(${Number(rounds)})`));
console.log(JSON.stringify({ ...answer, startup }));
process.exit(0);
