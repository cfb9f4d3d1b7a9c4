from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmann.core import OptionError
from torchmann.experiments.sweeps.search import axis, drawn, every, require_different


def test_all_combinations_the_last_axis_fastest() -> None:
    axes = [axis("model.slots=8,16"), axis("--optimiser.lr=1e-3,1e-4")]
    assert [tuple(point.values()) for point in every(axes)] == [
        ("8", "1e-3"),
        ("8", "1e-4"),
        ("16", "1e-3"),
        ("16", "1e-4"),
    ]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("task.tasks=[1,2],[3]", ("[1,2]", "[3]")),
        ("anneal=['a=linear:1:0:5','b=linear:1:0:5'],[]", ("['a=linear:1:0:5','b=linear:1:0:5']", "[]")),
        ('curriculum="length=uniform,width=uniform",null', ("length=uniform,width=uniform", "null")),
        ("model.writing=uniform:3, uniform:5", ("uniform:3", "uniform:5")),
        ("task.loss=", None),
        ("=3", None),
        ("model.slots", None),
    ],
)
def test_values_as_they_are_typed(text: str, values: tuple[str, ...] | None) -> None:
    if values is None:
        with pytest.raises(OptionError, match="--grid is written FLAG=VALUE,VALUE"):
            axis(text)
    else:
        assert axis(text).values == values


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["uniform", "log"]), st.integers(0, 1000))
def test_whole_numbers_are_drawn_from_both_ends_on(low: int, more: int, kind: str, seed: int) -> None:
    axes = [axis(f"model.slots={kind}:{low}:{low + more}")]
    values = {int(point["model.slots"]) for point in drawn(axes, min(more, 3), seed)}
    assert len(values) == min(more, 3) and min(values) >= low and max(values) <= low + more


def test_a_logarithmic_range_has_as_many_points_in_each_decade() -> None:
    values = [float(point["lr"]) for point in drawn([axis("lr=log:1e-5:1e-1")], 400, seed=0)]
    decades = [math.floor(math.log10(value)) for value in values]
    assert all(70 < decades.count(decade) < 130 for decade in (-5, -4, -3, -2))


def test_both_ends_of_a_whole_range_are_as_likely_as_the_rest() -> None:
    axes = [axis("slots=uniform:1:4"), axis("lr=uniform:0.0:1.0")]
    values = [point["slots"] for point in drawn(axes, 400, seed=0)]
    assert all(70 < values.count(str(number)) < 130 for number in (1, 2, 3, 4))


def test_what_is_drawn_depends_on_the_seed_alone_and_more_points_begin_with_the_fewer() -> None:
    axes = [axis("model.slots=8,16,32"), axis("optimiser.lr=log:1e-4:1e-2")]
    assert drawn(axes, 5, seed=1) == drawn(axes, 9, seed=1)[:5]
    assert drawn(axes, 5, seed=1) != drawn(axes, 5, seed=2)


def test_the_points_of_a_small_grid_are_all_drawn_once() -> None:
    axes = [axis("a=1,2,3"), axis("b=1,2")]
    points = drawn(axes, 6, seed=0)
    assert sorted(map(str, points)) == sorted(map(str, every(axes)))
    with pytest.raises(OptionError, match="--random 7: there are only 6 points"):
        drawn(axes, 7, seed=0)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (["lr=log:1:1"], "log:LOW:HIGH needs LOW below HIGH and above 0, got 1 and 1"),
        (["lr=log:0:1"], "and above 0, got 0 and 1"),
        (["lr=uniform:2:1"], "uniform:LOW:HIGH needs LOW below HIGH, got 2 and 1"),
        (["lr=log:low:1"], "log:LOW:HIGH takes two numbers, got 'low' and '1'"),
        (["lr=3,4,3"], "--grid lr: the value 3 stands twice"),
        (["lr=3,4", "lr=5"], "--grid lr stands twice: give all its values at once"),
        (["lr=uniform:1:2"], "--grid lr is a range: say how many points to draw with --random N"),
        ([], "say what to try with --grid"),
    ],
)
def test_mistakes(axes: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        found = [axis(text) for text in axes]
        require_different(found)
        every(found)
