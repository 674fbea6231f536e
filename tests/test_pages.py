"""The Python that the pages and the README print runs, and says what they say it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{i}")
    for page in [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
    for i, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    )
]


def test_there_are_such_blocks():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS)
def test_a_printed_block_of_python_runs(block, capsys):
    exec(compile(block, "page", "exec"), {})
    promised = re.findall(r"print\(.*\)\s+# (.+)$", block, re.M)
    assert capsys.readouterr().out.splitlines() == promised


def test_the_introduction_lists_every_chapter_with_the_minutes_that_it_gives():
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        minutes = re.search(r"\*\*Time\*\* (\d+) minutes", text)
        assert minutes, f"{path.stem} does not say how long it takes"
        assert re.search(rf"\(\.\./notebooks/{path.name}\).*\| {minutes[1]} \|", index), path.stem
