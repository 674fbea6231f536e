"""The kernel that runs a submission: bounded memory and time, no network, no files but its own.

nbgrader starts it in place of the ordinary Python kernel. What a submission must not do raises an error
that the student can read, and is written to a report for the teacher. What the tests rely on is put back
before each cell, so that replacing `np.testing.assert_allclose`, `same` or `zip` changes nothing but the
report.

This keeps mistakes and curiosity away from the grader. It is not a prison: whoever grades strangers' code
runs it in a container or a virtual machine as well.
"""

from __future__ import annotations

import builtins
import inspect
import json
import linecache
import os
import re
import resource
import site
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

FORBIDDEN = {
    "os.system": "start other programs",
    "subprocess.Popen": "start other programs",
    "os.exec": "start other programs",
    "os.posix_spawn": "start other programs",
    "os.fork": "start other processes",
    "os.forkpty": "start other processes",
    "os.kill": "send signals",
    "os.killpg": "send signals",
    "socket.connect": "use the network",
    "socket.bind": "use the network",
    "socket.getaddrinfo": "use the network",
    "socket.sendto": "use the network",
    "ctypes.dlopen": "load machine code",
    "ctypes.dlsym": "load machine code",
    "sys.addaudithook": "watch the grader",
}
READS = {"open", "os.listdir", "os.scandir"}
WRITES = {
    "os.remove", "os.rename", "os.chmod", "os.symlink", "os.link", "os.mkdir", "os.rmdir", "os.truncate",
    "shutil.rmtree", "sqlite3.connect",
}  # fmt: skip
# What Python's own parts look at; some of it does not exist on every machine.
SYSTEM = (
    "/usr/lib", "/usr/share", "/etc/localtime", "/etc/fonts", "/dev/urandom", "/dev/null", "/proc/meminfo",
    "/proc/stat", "/proc/cpuinfo", "/sys/devices/system/cpu",
)  # fmt: skip
PROCESSES = re.compile(r"/proc(/\d+/stat)?")  # the kernel looks whether its parent is alive
HIDDEN = "BEGIN HIDDEN TESTS"


class Guard:
    """Decides what a submission may do, and remembers what it tried."""

    def __init__(self, folder: Path, readable: list[Path], report: Path) -> None:
        self.folder, self.readable = folder.resolve(), [path.resolve() for path in readable]
        self.report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.seen: set[str] = set()

    def note(self, what: str) -> None:
        if what not in self.seen:
            self.seen.add(what)
            os.write(self.report, (json.dumps(what) + "\n").encode())

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Audit hook: Python calls it before each of these things happens."""
        if event in FORBIDDEN:
            self.refuse(f"tried to {FORBIDDEN[event]}", f"{event}{args[:1]!r}")
        elif event in READS | WRITES and args and isinstance(args[0], (str, bytes, os.PathLike)):
            self.check_path(os.fsdecode(args[0]), event in WRITES or (event == "open" and _writes(*args[1:])))

    def check_path(self, path: str, writing: bool) -> None:
        where = Path(os.path.realpath(path))
        allowed = [self.folder] if writing else [self.folder, *self.readable]
        if where == Path("/dev/null") or any(where.is_relative_to(folder) for folder in allowed):
            return
        if not writing and PROCESSES.fullmatch(str(where)):
            return
        self.refuse(f"tried to {'write' if writing else 'read'} {path}", path)

    def refuse(self, what: str, detail: str) -> None:
        self.note(what)
        raise PermissionError(f"a problem set may not do this: {what.removeprefix('tried to ')} ({detail})")


def _writes(mode: str | None = None, flags: object = 0, *_: object) -> bool:
    """Whether a file is opened for writing."""
    bits = flags if isinstance(flags, int) else 0
    return bool(bits & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or bool(set(mode or "") & set("wax+"))


class Originals:
    """The functions that tests rely on, as they were before any submitted code ran."""

    MODULES = (
        "builtins", "math", "time", "inspect", "copy", "contextlib", "numpy", "numpy.testing", "numpy.linalg",
        "numpy.random", "IPython.core.interactiveshell", "ipykernel.zmqshell", "ipykernel.ipkernel",
    )  # fmt: skip
    SHELL = ("custom_exceptions", "ast_transformers", "input_transformers_post", "showtraceback")

    def __init__(self, guard: Guard, shell: Any) -> None:
        self.guard, self.shell = guard, shell
        names = [*self.MODULES, *(name for name in sys.modules if name.partition(".")[0] == "nnlib")]
        self.modules = {name: sys.modules[name] for name in names if name in sys.modules}
        self.kept = {name: dict(vars(module)) for name, module in self.modules.items()}
        self.methods = {
            cls: dict(vars(cls))
            for name, values in self.kept.items() if name.partition(".")[0] in ("nnlib", "IPython", "ipykernel")
            for cls in values.values() if isinstance(cls, type) and cls.__module__ == name
        }  # fmt: skip
        self.code = {
            f: f.__code__
            for values in (*self.kept.values(), *self.methods.values())
            for value in values.values() if isinstance(value, FunctionType)
            for f in (value, inspect.unwrap(value)) if isinstance(f, FunctionType)
        }  # fmt: skip
        self.settings = {name: getattr(shell, name) for name in self.SHELL}
        self.transformers = {k: list(v) for k, v in self.settings.items() if isinstance(v, list)}
        self.callbacks = {event: list(calls) for event, calls in shell.events.callbacks.items()}
        self.shadows = {name: shell.user_ns[name] for name in vars(builtins) if name in shell.user_ns}
        self.names: dict[str, Any] = {}  # what the problem set's first cell imports

    def remember_names(self) -> None:
        """What is imported now belongs to the tests."""
        self.names = {
            k: v for k, v in self.shell.user_ns.items()
            if k not in self.shell.user_ns_hidden and isinstance(v, (FunctionType, ModuleType))
        }  # fmt: skip

    def restore(self) -> None:
        """Put back whatever was replaced, and note it."""
        for name, module in self.modules.items():
            sys.modules[name] = module
            self._put_back(name, module, self.kept[name])
        for cls, values in self.methods.items():
            self._put_back(f"{cls.__module__}.{cls.__name__}", cls, values)
        for function, code in self.code.items():
            if function.__code__ is not code:
                self.guard.note(f"changed the code of {function.__module__}.{function.__qualname__}")
                function.__code__ = code
        self._restore_shell()

    def _put_back(self, name: str, owner: ModuleType | type, values: dict[str, Any]) -> None:
        current = vars(owner)
        for key, value in values.items():
            if key.startswith("__") or key == "_" or isinstance(value, (int, float, list, dict)):
                continue
            if current.get(key) is not value:
                self.guard.note(f"replaced {name}.{key}")
                setattr(owner, key, value)

    def _restore_shell(self) -> None:
        """Names of the notebook, and what stands between a cell and its outputs."""
        namespace = self.shell.user_ns
        for name in vars(builtins).keys() & namespace.keys():
            if self.shadows.get(name) is not namespace[name]:
                self.guard.note(f"replaced {name}")
                del namespace[name]
        namespace.update(self.shadows)
        for name, value in self.names.items():
            if namespace.get(name) is not value:
                self.guard.note(f"replaced {name}")
                namespace[name] = value
        for name, value in self.settings.items():
            changed = getattr(self.shell, name) != value
            if changed or (name in self.transformers and value != self.transformers[name]):
                self.guard.note(f"changed how cells run ({name})")
                setattr(self.shell, name, value)
        for name, kept in self.transformers.items():
            self.settings[name][:] = kept
        for event, calls in self.callbacks.items():
            if self.shell.events.callbacks[event] != calls:
                self.guard.note(f"changed how cells run ({event})")
                self.shell.events.callbacks[event] = list(calls)


def limit(megabytes: int, cpu_seconds: int) -> None:
    """Memory, processor time and size of files; reached, they raise MemoryError or end this kernel."""
    for kind, value in (
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 50 * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def readable() -> list[Path]:
    """Where Python, its packages and the course's data are."""
    import nnlib

    package = Path(nnlib.__file__).resolve().parent
    paths = [*site.getsitepackages(), *sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *SYSTEM]
    data = os.environ.get("NNLIB_DATA", package.parent / "data")
    return [*map(Path, paths), package, Path(data), Path(__file__).resolve(), Path(f"/proc/{os.getpid()}")]


def main() -> None:
    """Start the kernel, with the limits that are in the environment."""
    # Before the guard: what loads machine code or looks around when it is imported
    import ctypes  # noqa: F401
    import multiprocessing  # noqa: F401

    import matplotlib.pyplot  # noqa: F401
    import numpy.testing  # noqa: F401
    from ipykernel.ipkernel import IPythonKernel
    from ipykernel.kernelapp import IPKernelApp

    import nnlib.clinic
    import nnlib.selfcheck  # noqa: F401

    folder = Path(os.environ["GRADER_FOLDER"]).resolve()
    os.chdir(folder)  # not where the graded notebook lies
    tempfile.tempdir = str(folder)
    guard = Guard(folder, readable(), Path(os.environ.pop("GRADER_REPORT")))
    first_cell = os.environ.pop("GRADER_FIRST_CELL").strip()

    class GradingKernel(IPythonKernel):
        async def do_execute(
            self, code: str, silent: bool, store_history: bool = True, *args: Any, **kwargs: Any
        ) -> dict[str, Any]:
            originals.restore()
            kept = store_history and HIDDEN not in code  # hidden tests are not in In or %history
            reply: dict[str, Any] = await super().do_execute(code, silent, kept, *args, **kwargs)
            if HIDDEN in code:  # nor where inspect.getsource looks
                for name in [n for n, entry in linecache.cache.items() if HIDDEN in "".join(entry[2])]:
                    del linecache.cache[name]
            elif code.strip() == first_cell:
                originals.remember_names()
            return reply

    limit(int(os.environ["GRADER_MEGABYTES"]), int(os.environ["GRADER_CPU_SECONDS"]))
    app = IPKernelApp.instance(kernel_class=GradingKernel)
    app.initialize()
    originals = Originals(guard, app.kernel.shell)
    sys.addaudithook(guard)
    app.start()


if __name__ == "__main__":
    main()
