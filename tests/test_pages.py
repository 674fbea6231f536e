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
