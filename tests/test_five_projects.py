"""Chapter 16: its table says what its cells found, and its explorer starts from a seed that fails."""

import html
import json
import re
from pathlib import Path

import pytest

CHAPTER = Path(__file__).resolve().parents[1] / "notebooks" / "16-five-projects.ipynb"


@pytest.fixture(scope="module")
def cells():
    return [c for c in json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def printed(cells):
    return "".join("".join(o["text"]) for c in cells for o in c["outputs"] if o["output_type"] == "stream")


@pytest.fixture(scope="module")
def rows(cells):
    pages = ["".join(o.get("data", {}).get("text/html", "")) for c in cells for o in c["outputs"]]
    (table,) = [page for page in pages if 'five">' in page]
    return re.findall(r"<tr>(<td.*?)</tr>", table)


def test_the_table_has_a_row_for_each_project_with_results_and_failed_checks(rows):
    assert len(rows) == 5
    for number, row in enumerate(rows, start=1):
        builds, _, gets, fails = re.findall(r"<td.*?>(.*?)</td>", row)
        assert builds.startswith(f"<b>{number}.</b>")
        assert re.search(r"<li>.*\d seeds.*\d s</li>", gets)
        assert int(fails.split(" of ")[0]) == fails.count("<details>") > 0


def test_every_verdict_against_a_text_is_in_the_table_and_no_other(cells, rows):
    verdicts = re.findall(r"^(HOLDS|DOES NOT HOLD): (.*)\n((?:    .*\n)+)", printed(cells), re.M)
    failed = {(what, " ".join(why.split())) for verdict, what, why in verdicts if verdict == "DOES NOT HOLD"}
    folded = r"<li><details><summary>([^<]*)</summary>(.*?)</details></li>"
    listed = re.findall(folded, "".join(row.rpartition("<td")[2] for row in rows))
    assert failed == {(html.unescape(what), " ".join(html.unescape(why).split())) for what, why in listed}
    assert len(failed) > 25
    assert len(verdicts) - len(failed) > 10


def test_the_explorer_shows_a_seed_that_fails_at_one_eighth(cells):
    (source,) = [s for c in cells if "DecisionBoundaryExplorer(" in (s := "".join(c["source"]))]
    names = {}
    *imports, call = source.split("\n\n")
    exec("\n".join(imports), names)  # the cell itself: what readers see is what is tested
    engine = eval(call, names).engine
    engine.step(3000)
    assert engine.loss == pytest.approx(1 / 8, abs=0.01)
    assert engine.accuracy < 1
