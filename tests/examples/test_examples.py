"""One example for each paper: short, and each proves in about a minute what it says (the proofs are its assertions)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
PROOFS = {
    "armin": "ARMIN remembers what an LSTM has not learnt yet",
    "dam_mrl": "With refreshing the network gives back what it is shown",
    "dma": "A DNC learns with the softmax as well as with the sort",
    "structured_ntm": "slots read while answering: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
    "uw_cuw": "Half of the memory steps suffice",
}


def test_each_paper_has_one() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(PROOFS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_say_what_they_show(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert f"Run: python examples/{path.name}" in text and "Paper: " in text and "Idea: " in text


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_prove_what_they_say(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(path), run_name="__main__")
    assert PROOFS[path.stem] in capsys.readouterr().out
