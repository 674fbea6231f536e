"""Execute notebooks in place, the way the course commits them.

    python notebooks/execute.py                     # all chapters
    python notebooks/execute.py 09-training-on-xor  # some of them

Outputs and execution counts 1..n are stored; timestamps, widget state and the version of Python are
not, so that running again on another machine changes nothing that a reader sees. Of an explorer the recording
and its picture are stored; the widget belongs to the kernel that ends here, and JupyterLab would show an error
in its place.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the tests do: the kernels inherit it

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> None:
    """Run one notebook and write it back, only when every cell has succeeded."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        output.get("data", {}).pop(WIDGET, None)
    notebook.metadata = METADATA
    nbformat.validate(notebook)
    temporary = path.with_suffix(".part")
    nbformat.write(notebook, temporary)
    temporary.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="chapters, with or without .ipynb; all of them by default")
    names = parser.parse_args().names
    paths = [HERE / f"{Path(n).stem}.ipynb" for n in names] if names else sorted(HERE.glob("*.ipynb"))
    failed = 0
    for path in paths:
        started = time.perf_counter()
        try:
            execute(path)
            print(f"{path.name}: executed in {time.perf_counter() - started:.0f} s", flush=True)
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: failed, left as it was\n{error}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
