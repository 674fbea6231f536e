"""Write the template repository of a problem set for GitHub Classroom.

    .venv/bin/python assignments/recipes/github/make_template.py ps1 ../ps1-template

It holds the released notebook, nnlib as a wheel, the digits for ps4, and a workflow that runs the visible checks.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COURSE = HERE.parents[2]
README = """# {name}

Install once, in this folder:

    python -m venv .venv
    source .venv/bin/activate      # on Windows: .venv\\Scripts\\activate
    python -m pip install -r requirements.txt jupyterlab

Work in `{name}/{name}.ipynb` with `jupyter lab`. Before you hand in, run `python run_checks.py`. What you have
pushed at the due date is what you hand in. After each push, *Actions* shows what the checks say.
"""


def write(name: str, target: Path) -> None:
    """Fill a folder that does not exist yet."""
    released = COURSE / "assignments" / "release" / name
    if not released.is_dir():
        raise SystemExit(
            f"expected a problem set, got {name}: {released} does not exist; run make assignments"
        )
    if target.exists():
        raise SystemExit(f"expected a new folder, got {target}, which exists: choose another or remove it")
    shutil.copytree(released, target / name)
    wheels = target / "wheels"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(wheels),
            str(COURSE),
        ],
        check=True,
    )
    (wheel,) = wheels.glob("nnlib-*.whl")
    (target / "requirements.txt").write_text(
        f"./wheels/{wheel.name}\nnumpy>=2.0,<3\nmatplotlib>=3.8,<4\nnbclient>=0.10,<1\nipykernel>=6.29,<8\n",
        "utf-8",
    )
    workflow = target / ".github" / "workflows" / "checks.yml"
    workflow.parent.mkdir(parents=True)
    shutil.copy(HERE / "checks.yml", workflow)
    shutil.copy(HERE / "run_checks.py", target)
    (target / ".gitignore").write_text(".venv/\n.ipynb_checkpoints/\n__pycache__/\n", "utf-8")
    (target / "README.md").write_text(README.format(name=name), "utf-8")
    if "mnist(" in (released / f"{name}.ipynb").read_text("utf-8"):
        shutil.copytree(COURSE / "data" / "mnist", target / "data" / "mnist")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="problem set: ps1, ps2, ...")
    parser.add_argument("target", type=Path, help="a folder that does not exist yet")
    args = parser.parse_args()
    write(args.name, args.target.resolve())
    print(f"template: {args.target}; next: git init, commit, push, and mark the repository as a template")
