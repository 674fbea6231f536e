"""Bring what students handed in elsewhere into CLASS/submitted/, where `make grade` looks for it.

    python assignments/recipes/collect.py clones ps1 ../clones --class ../my-class
    python assignments/recipes/collect.py moodle ps1 ../submissions.zip --class ../my-class

`clones` takes a folder of git clones, one a student, named as their accounts or `ps1-ACCOUNT`. The account is
the student's id, unless roster.csv has a column `github` that says otherwise. `moodle` takes the archive of
"Download all submissions", with folders or without; it knows students by first_name and last_name of roster.csv.
What cannot be matched with one student is listed and left out; the exit code is then 1. Nothing outside
CLASS/submitted/ is written.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ASSIGNMENTS = Path(__file__).resolve().parents[1]
LARGEST = 20 * 2**20  # bytes of a notebook; more is not unpacked
MOODLE = re.compile(r"(?P<name>.+?)_\d+_assignsubmission_file_?(/.*|[^/]*)", re.DOTALL)


def roster(root: Path) -> list[dict[str, str]]:
    """Rows of the class's list; none when there is no list."""
    path = root / "roster.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def put(root: Path, student: str, name: str, file: str, content: bytes, came: str | None) -> str:
    """Write one submission in place of an earlier one; a sentence that says so."""
    if not re.fullmatch(r"[\w.@+-]+", student) or student.startswith("."):
        raise ValueError(f"id: expected letters, digits and . @ + - _, got {student!r}: correct roster.csv")
    folder = root / "submitted" / student / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.ipynb"), folder / "timestamp.txt"):
        old.unlink(missing_ok=True)
    (folder / file).write_bytes(content)
    if came:
        (folder / "timestamp.txt").write_text(came + "\n", "utf-8")
    return f"{student}: {file}" + (f", {came}" if came else "")


# --- Clones --------------------------------------------------------------------------------------------


def git(repository: Path, *words: str) -> bytes:
    """What a git command prints; hooks and settings of the clone are not used."""
    safe = [
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        f"safe.directory={repository}",
    ]
    return subprocess.run(
        ["git", *safe, "-C", str(repository), *words], check=True, capture_output=True
    ).stdout


def clones(folder: Path, name: str, root: Path, until: str | None) -> Iterator[tuple[str, bool]]:
    """Take NAME/NAME.ipynb of each clone's last commit (before a time), and the time of that commit."""
    ids = {row["github"].lower(): row["id"] for row in roster(root) if row.get("github")}
    for repository in sorted(path.resolve() for path in folder.iterdir() if (path / ".git").exists()):
        account = repository.name.removeprefix(f"{name}-")
        student = ids.get(account.lower(), account)
        try:
            before = [f"--before={until}"] if until else []
            commit = git(repository, "rev-list", "-1", *before, "HEAD").decode().strip()
            content = git(repository, "show", f"{commit}:{name}/{name}.ipynb")
            came = git(repository, "show", "-s", "--format=%cI", commit).decode().strip()
        except subprocess.CalledProcessError as error:
            yield f"{account}: not collected: {error.stderr.decode(errors='replace').strip()}", False
            continue
        yield put(root, student, name, f"{name}.ipynb", content, came), True


# --- Moodle --------------------------------------------------------------------------------------------


def words(name: str) -> frozenset[str]:
    """A name without order, case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or name
    return frozenset(re.findall(r"\w+", plain.casefold()))


def moodle(archive: Path, name: str, root: Path) -> Iterator[tuple[str, bool]]:
    """Take the notebooks of an archive of submissions."""
    known: dict[frozenset[str], list[str]] = {}
    for row in roster(root):
        known.setdefault(words(f"{row['first_name']} {row['last_name']}"), []).append(row["id"])
    if not known:
        raise SystemExit(f"expected {root / 'roster.csv'} with id, first_name and last_name, got none")
    found: dict[str, list[zipfile.ZipInfo]] = {}
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            match = MOODLE.fullmatch(entry.filename)
            if entry.is_dir() or not match or not entry.filename.endswith(".ipynb"):
                if not entry.is_dir():
                    yield f"{entry.filename}: left out, not a submitted notebook", False
                continue
            ids = known.get(words(match["name"]), [])
            if len(ids) != 1:
                reason = "nobody" if not ids else f"{len(ids)} people"
                yield f"{entry.filename}: left out, {reason} of this name in roster.csv", False
            elif entry.file_size > LARGEST:
                yield f"{entry.filename}: left out, more than {LARGEST // 2**20} MB", False
            else:
                found.setdefault(ids[0], []).append(entry)
        for student, entries in sorted(found.items()):
            named = [entry for entry in entries if handed_in(entry).endswith(f"{name}.ipynb")] or entries
            if len(named) > 1:
                yield f"{student}: left out, {len(named)} notebooks that could be {name}.ipynb", False
            else:
                yield put(root, student, name, handed_in(named[0]), file.read(named[0]), None), True


def handed_in(entry: zipfile.ZipInfo) -> str:
    """The file's name as the student called it, without Moodle's prefix and folders."""
    return re.sub(r"^.*_assignsubmission_file_", "", PurePosixPath(entry.filename).name)


# --- The command line ----------------------------------------------------------------------------------


def main() -> int:
    """Collect, and say what was taken from whom."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["clones", "moodle"])
    parser.add_argument("name", help="problem set: ps1, ps2, ...")
    parser.add_argument("source", type=Path, help="folder of clones, or archive")
    parser.add_argument("--class", dest="root", type=Path, required=True, help="folder of the class")
    parser.add_argument(
        "--until", help="clones: the last commit before this time, such as 2027-01-22T23:59+01:00"
    )
    args = parser.parse_args()
    root = args.root.resolve()
    if not args.source.exists():
        parser.error(f"expected a folder of clones or an archive, got {args.source}, which does not exist")
    if not (ASSIGNMENTS / "source" / args.name).is_dir():
        parser.error(f"expected the name of a problem set such as ps1, got {args.name}")
    if args.kind == "clones":
        results = list(clones(args.source, args.name, root, args.until))
    else:
        results = list(moodle(args.source, args.name, root))
    for sentence, _ in results:
        print(sentence)
    print(
        f"{sum(taken for _, taken in results)} collected, {sum(not taken for _, taken in results)} to look at"
    )
    return 0 if results and all(taken for _, taken in results) else 1


if __name__ == "__main__":
    sys.exit(main())
