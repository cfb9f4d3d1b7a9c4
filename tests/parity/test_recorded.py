"""Every recorded case of another code base: our model gives its outputs, states and gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from torchmann.interop import SOURCES, replay, verify
from torchmann.interop.verify import compare, read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
CASES = sorted(GOLDENS.glob("*.npz"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    verdict = verify(path)
    misses = [f"{each.key}: {each.deviation:.1e}, {each.problem}" for each in verdict.comparisons if not each.agrees]
    assert verdict.agrees, [verdict.error, *misses]
    assert {key.partition("/")[0] for key in read_case(path)} >= {"output", "state", "grad"}, "nothing left to compare"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_exactly_what_was_recorded_comes_out(path: Path) -> None:
    arrays = read_case(path)
    recorded = {key for key in arrays if key.startswith(("output", "state/", "grad/"))}
    needed = {key: value for key, value in arrays.items() if key not in recorded}
    assert replay(needed).keys() == recorded


def test_every_source_has_a_case() -> None:
    assert {verify(path).source for path in CASES} == set(SOURCES)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("output", 1e-3),
        ("state/memory", 1e-3),
        ("grad/dnc/lstm/w_gates", 1e-3),
        ("grad/input", 1e-3),
        ("output", np.nan),
    ],
)
def test_a_wrong_number_is_a_miss(key: str, change: float) -> None:
    arrays = read_case(GOLDENS / "deepmind-dnc-init.npz")
    found = replay(arrays)
    assert all(each.agrees for each in compare(arrays, found))
    wrong = found[key].copy()
    wrong.flat[3] += change
    misses = [each.key for each in compare(arrays, found | {key: wrong}) if not each.agrees]
    assert misses == [key]


def test_an_array_that_is_not_there_or_has_another_shape_is_a_miss() -> None:
    arrays = read_case(GOLDENS / "deepmind-dnc-init.npz")
    found = replay(arrays)
    short = {**found, "output": found["output"][1:]}
    del short["state/usage"]
    problems = {each.key: each.problem for each in compare(arrays, short) if not each.agrees}
    assert problems == {
        "output": "recorded [8, 2, 5], replayed [7, 2, 5]",
        "state/usage": "recorded [8, 2, 6], replayed nothing",
    }


def test_tied_cases_are_compared_sorted_over_slots_and_only_these() -> None:
    for case, tied in (("deepmind-dnc-base", True), ("deepmind-dnc-init", False)):
        arrays = read_case(GOLDENS / f"{case}.npz")
        found = replay(arrays)
        swapped = found["state/usage"][..., ::-1]
        verdicts = {each.key: each for each in compare(arrays, found | {"state/usage": swapped})}
        assert verdicts["state/usage"].agrees is tied
        assert {key for key, each in verdicts.items() if each.reordered} >= ({"state/usage"} if tied else set())
        assert not verdicts["output"].reordered
