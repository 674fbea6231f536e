"""Chapters and problem sets as notebooks that run in the browser: JupyterLite in ``lite/`` of the built book.

After ``pyodide_dist`` has put Pyodide into the book, ``jupyter lite build`` makes the notebook application,
with the chapters, the problem sets as students get them, and the small data sets as its contents. Its kernel
starts through ``book/lite/pyodide.js``, which uses the same Pyodide as the explorers and a lock file with a
few pure wheels more: the kernel's own parts and the widgets. The widgets' wheels are made from the packages
installed here, so nothing is downloaded, neither now nor when a chapter runs.

Each chapter gets a link to its notebook, and the directive ``{problem-set}`` one to a problem set, beside one
that downloads it. Where Pyodide or JupyterLite is missing only the downloads are left, the console says why,
and the book is built all the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import nbformat
import pyodide_dist as dist
from docutils import nodes
from jupyter_core.paths import jupyter_path
from packaging.utils import canonicalize_name
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

LABEL = "Run this chapter in the browser"
DRAWN = ["sd-btn", "sd-btn-outline-primary", "sd-text-wrap", "sd-my-1"]
BUTTON = ["run-in-browser", *DRAWN]
# A page that was opened as a file has no server behind it, which notebooks and Pyodide need.
WITHOUT_SERVER = """if (location.protocol === "file:")
  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".btn-run-in-browser").forEach((button) => button.remove());
    document.querySelectorAll("a.run-in-browser").forEach((link) =>
      link.replaceWith("To run it in the browser, open the book through a server: make serve."));
  });"""
CHAPTERS, SETS = "notebooks/", "problem-sets/"
RELEASED = "assignments/release"  # the problem sets without solutions and hidden tests
# The notebook application shows one document, as the chapter's page does, and fits a phone. From it
# a reader can go to the folder (tree) or to the whole of JupyterLab (lab).
APP, APPS = "notebooks", ("notebooks", "tree", "lab")
KERNEL = "@jupyterlite/pyodide-kernel-extension"
LABEXTENSIONS = (KERNEL, "@jupyter-widgets/jupyterlab-manager", "anywidget")
INSTALLED = ("anywidget", "comm", "ipywidgets", "psygnal", "tqdm", "typing_extensions")
# What a chapter may import without naming it, and what the kernel would else ask for one by one.
PRELOADED = (
    "micropip", "piplite", "ssl", "sqlite3", "ipykernel", "comm", "pyodide_kernel", "jedi", "ipython",
    "nnlib",
)  # fmt: skip
COURSE_NEEDS = ("matplotlib", "ipywidgets", "anywidget", "tqdm")
# Of the Python packages: what is compiled for this machine, or what only a server, a notebook before
# version 7 or a test uses
LEFT_OUT = {".so", ".pyd", "__pycache__", "tests", "nbextension", "labextension"}
UNUSED = ("build/*.svg", "build/*.eot", "build/*.ttf", "icon-512x512.png")


# --- Is it possible? -----------------------------------------------------------------------------------


def labextension(name: str) -> Path:
    """Folder of an installed extension of JupyterLab."""
    for folder in jupyter_path("labextensions"):
        if (Path(folder) / name / "package.json").is_file():
            return Path(folder) / name
    raise ExtensionError(f"the JupyterLab extension {name} is not installed: pip install -r requirements.txt")


def obstacle() -> str | None:
    """Why there can be no JupyterLite in this build, or None."""
    for package in ("jupyterlite-core", "jupyterlite-pyodide-kernel", *INSTALLED):
        try:
            metadata.distribution(package)
        except metadata.PackageNotFoundError:
            return f"{package} is not installed (pip install -r requirements.txt)"
    return None if dist.provide() else f"Pyodide {dist.VERSION} could not be had"


def decide(app: Sphinx) -> None:
    """Before the pages are written: shall they link to notebooks in the browser?"""
    reason = obstacle() if app.builder.format == "html" else "the book is not built as HTML"
    app.config.lite_available = reason is None
    if reason is None:
        app.add_js_file(None, body=WITHOUT_SERVER)
    if reason and app.builder.format == "html":
        dist.on_console(f"Chapters cannot be run in the browser from this book: {reason}.")


# --- Links -----------------------------------------------------------------------------------------------


def address(notebook: str) -> str:
    return f"lite/{APP}/index.html?path={quote(f'{notebook}.ipynb')}"


def link(docname: str, notebook: str, label: str) -> nodes.reference:
    """A button that opens a notebook in the browser."""
    return nodes.reference(
        "", label, internal=False, refuri="../" * docname.count("/") + address(notebook), target="_blank",
        reftitle="Opens the notebook in a new tab; nothing to install", classes=BUTTON,
    )  # fmt: skip


def add_line(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A line under the title of each chapter."""
    if not (app.config.lite_available and docname.startswith(CHAPTERS)):
        return
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        return
    title.parent.insert(title.parent.index(title) + 1, nodes.paragraph("", "", link(docname, docname, LABEL)))


def add_button(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """A button among those in the page's header."""
    if app.config.lite_available and pagename.startswith(CHAPTERS) and "header_buttons" in context:
        button = {"type": "link", "icon": "fas fa-play", "tooltip": LABEL, "label": "run-in-browser"}
        context["header_buttons"].insert(0, button | {"url": context["pathto"](address(pagename), 1)})


class ProblemSet(SphinxDirective):
    """What a problem set practices, in its own words, and buttons: open it in the browser, download it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        [name] = self.arguments
        path = Path(self.env.srcdir, RELEASED, name, f"{name}.ipynb")
        if not path.is_file():
            raise self.error(f"expected a problem set, got {name}: no file {path}; run make assignments")
        self.env.note_dependency(str(path))
        opening = nbformat.read(path, 4).cells[0].source.split("\n\n")
        aim = next((paragraph for paragraph in opening if paragraph.startswith("**You practice**")), None)
        if aim is None:
            raise self.error(f"expected a paragraph **You practice** in the first cell of {path}, got none")
        download = download_reference(
            "", f"Download {name}", reftarget=f"/{RELEASED}/{name}/{name}.ipynb", refdoc=self.env.docname,
            classes=DRAWN,
        )  # fmt: skip
        buttons = nodes.paragraph("", "", download, classes=["problem-set"], notebook=SETS + name)
        return [*self.parse_text_to_nodes(aim), buttons]


def add_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A button in front of each that downloads a problem set."""
    if not app.config.lite_available:
        return
    for buttons in (node for node in doctree.findall(nodes.paragraph) if "notebook" in node):
        name = buttons["notebook"].removeprefix(SETS)
        buttons[:0] = [link(docname, buttons["notebook"], f"Open {name} in the browser"), nodes.Text(" ")]


# --- The kernel ------------------------------------------------------------------------------------------


def installed_wheel(package: str, folder: Path) -> Path:
    """Wheel of an installed package without what is compiled for this machine; the same bytes each time."""
    source = metadata.distribution(package)
    info = f"{package}-{source.version}.dist-info"
    files = {}
    for file in source.files or ():
        path = PurePosixPath(file)
        if (
            path.parts[0] in ("..", "/")
            or LEFT_OUT & set(path.parts)
            or path.suffix in (".so", ".pyd", ".pyc")
        ):
            continue
        if path.parts[0].endswith(".dist-info"):
            if path.name != "METADATA" and "licenses" not in path.parts:
                continue
            path = PurePosixPath(info, *path.parts[1:])
        files[str(path)] = Path(str(source.locate_file(file))).read_bytes()
    if not any(name.endswith(".py") for name in files):
        raise ExtensionError(f"no files of {package} found: install it from a wheel, not from a source tree")
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: jupyterlite_site\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},sha256={dist.urlsafe(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"{package}-{source.version}-py3-none-any.whl"
    dist.write(wheel, dist.zipped(dict(sorted(files.items()))))
    return wheel


def kernel_wheels() -> Iterable[Path]:
    """Wheels that come with the kernel; its stand-ins for the old notebook's extension are not used."""
    wheels = (labextension(KERNEL) / "static" / "pypi").glob("*.whl")
    return sorted(wheel for wheel in wheels if not wheel.name.startswith("widgetsnbextension"))


def lock_file(pyodide: Path, wheels: Iterable[Path]) -> bytes:
    """Lock file of the book, with the wheels that stand beside it, as seen from Pyodide's folder."""
    lock = json.loads((pyodide / dist.LOCK).read_bytes())
    packages = lock["packages"]
    for wheel in wheels:
        entry = dist.locked(wheel)
        packages[entry["name"]] = entry | {"file_name": f"../../lite/kernel/{wheel.name}"}
    for package in packages.values():  # those left out serve the notebook's server
        package["depends"] = [n for n in package["depends"] if canonicalize_name(n) in packages]
    packages["nnlib"]["depends"] = sorted({*packages["nnlib"]["depends"], *COURSE_NEEDS})
    return dist.as_json(lock)


def data_files(root: Path) -> dict[str, Path]:
    """Path from data/ -> file, of all data sets of the course."""
    files = [*(root / "data").glob("*.csv"), *(root / "data" / "mnist").glob("*.gz")]
    return {path.relative_to(root / "data").as_posix(): path for path in sorted(files)}


def write_kernel(root: Path, pyodide: Path, folder: Path) -> None:
    """What the kernel starts from: pyodide.js, its lock file and wheels, and the data of the course."""
    folder.mkdir(parents=True)
    wheels = [installed_wheel(package, folder) for package in INSTALLED]
    wheels += [Path(shutil.copy(wheel, folder)) for wheel in kernel_wheels()]
    lock = lock_file(pyodide, wheels)
    dist.write(folder / dist.LOCK, lock)
    served = {}
    for name, path in data_files(root).items():
        # not under its own name: servers differ in whether they pass a .gz on as it is
        served[f"/home/data/{name}"] = f"{path.name}.bin"
        shutil.copyfile(path, folder / f"{path.name}.bin")
    dist.write(folder / "course.json", dist.as_json({"lock": dist.digest(lock)[:12], "data": served}))
    shutil.copy(root / "book" / "lite" / "pyodide.js", folder)


# --- The site --------------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """jupyter-lite.json: all from this site, nothing from an index of packages."""
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "Backpropagation from scratch",
            "exposeAppInBrowser": True,  # window.jupyterapp: for the tests, and for the curious
            "litePluginSettings": {
                f"{KERNEL}:kernel": {
                    "pyodideUrl": "./kernel/pyodide.js",
                    "disablePyPIFallback": True,
                    "loadPyodideOptions": {"packages": list(PRELOADED)},
                }
            },
        },
    }


OVERRIDES = {
    # Light or dark as the reader's system has it, as in the pages
    "@jupyterlab/apputils-extension:themes": {"adaptive-theme": True},
    # What a student did lies in the browser only: the notebook application has no entry to take it out.
    "@jupyterlab/mainmenu-extension:plugin": {
        "menus": [{"id": "jp-mainmenu-file", "items": [{"command": "docmanager:download", "rank": 2}]}]
    },
}


def notebooks(root: Path) -> dict[str, Path]:
    """Path in JupyterLite -> file, of the chapters and of the problem sets as students get them."""
    chapters, sets = (root / "notebooks").glob("*.ipynb"), (root / RELEASED).glob("*/*.ipynb")
    return {CHAPTERS + path.name: path for path in sorted(chapters)} | {
        SETS + path.name: path for path in sorted(sets)
    }


def build_site(root: Path, work: Path) -> Path:
    """Run ``jupyter lite build`` in an empty folder; the site, without Pyodide."""
    contents, out = work / "files", work / "site"
    for name, path in notebooks(root).items():
        (contents / name).parent.mkdir(parents=True, exist_ok=True)
        # read and written as JupyterLab does: in the file a text may be a list of lines
        (contents / name).write_text(json.dumps(nbformat.read(path, 4)), encoding="utf-8")
    (contents / "data").mkdir()
    for path in (root / "data").glob("*.csv"):
        shutil.copy(path, contents / "data")
    config = {
        "LiteBuildConfig": {
            "apps": APPS,
            "output_dir": str(out),
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
            "ignore_sys_prefix": ["federated_extensions"],
            "federated_extensions": [str(labextension(name)) for name in LABEXTENSIONS],
        }
    }
    for name, content in {
        "jupyter_lite_config.json": config, "jupyter-lite.json": settings(), "overrides.json": OVERRIDES,
    }.items():  # fmt: skip
        (work / name).write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(work)]
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or not (out / APP / "index.html").is_file():
        raise ExtensionError(f"jupyter lite build failed (exit {done.returncode}):\n{done.stdout}")
    for path in (path for pattern in UNUSED for path in out.glob(pattern)):
        path.unlink()
    return out


def stamp(root: Path, pyodide: Path) -> str:
    """Digest of all that the site is made of."""
    made_of = [
        Path(__file__), pyodide / dist.LOCK, *(root / "book" / "lite").iterdir(), *data_files(root).values(),
        *notebooks(root).values(),
    ]  # fmt: skip
    versions = {name: metadata.version(name) for name in ("jupyterlite-core", "jupyterlite-pyodide-kernel")}
    versions |= {name: metadata.version(name) for name in INSTALLED}
    files = {path.name: dist.digest(path.read_bytes()) for path in made_of if path.is_file()}
    return dist.digest(dist.as_json([files, versions]))


def publish(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    root, pyodide, site = Path(app.srcdir), Path(app.outdir, "_static", "pyodide"), Path(app.outdir, "lite")
    if not app.config.lite_available:
        shutil.rmtree(site, ignore_errors=True)
        return
    marked, wanted = site / "stamp.txt", stamp(root, pyodide)
    if marked.is_file() and marked.read_text("utf-8") == wanted:
        return
    with tempfile.TemporaryDirectory() as work:
        built = build_site(root, Path(work))
        write_kernel(root, pyodide, built / "kernel")
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(built, site)
    marked.write_text(wanted, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("lite_available", False, "html")
    app.connect("builder-inited", decide)
    app.add_directive("problem-set", ProblemSet)
    app.connect("doctree-resolved", add_line)
    app.connect("doctree-resolved", add_links)
    app.connect("html-page-context", add_button, priority=600)  # after the theme has made the list
    app.connect("build-finished", publish, priority=600)  # after pyodide_dist
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
