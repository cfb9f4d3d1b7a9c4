"""Writing policies give the kind of each step by its absolute number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchmann.core import OptionError
from torchmann.memories import CachedUniform, DenseFrom, EveryStep, RandomSteps, Uniform, WritingPolicy
from torchmann.memories.writing import optimal_interval, policy_from

POLICIES: list[WritingPolicy] = [
    EveryStep(),
    Uniform(1),
    Uniform(3),
    Uniform(4, positions="released", hold="read"),
    CachedUniform(3),
    RandomSteps(0.4, seed=2),
    DenseFrom(Uniform(3, hold="write"), 7),
]


def dense(policy: WritingPolicy, length: int, start: int = 0) -> list[int]:
    """The absolute numbers of the complete steps, counted from 0."""
    return [step for step, kind in enumerate(policy.schedule(length, start), start) if kind in ("dense", "cached")]


@given(policy=st.sampled_from(POLICIES), length=st.integers(1, 20), cut=st.integers(0, 20))
def test_chunks_are_cut_from_the_whole(policy: WritingPolicy, length: int, cut: int) -> None:
    assert [*policy.schedule(cut), *policy.schedule(length, start=cut)] == list(policy.schedule(length + cut))


def test_every_step_is_dense() -> None:
    assert EveryStep().schedule(3, start=7) == ["dense"] * 3
    assert Uniform(1).schedule(5) == EveryStep().schedule(5)


def test_uniform_of_the_paper_counts_from_one() -> None:
    assert dense(Uniform(3), 8) == [2, 5]
    assert set(Uniform(3).schedule(8)) == {"dense", "hold"}


def test_uniform_of_the_released_code_counts_from_zero_and_spares_step_zero() -> None:
    assert dense(Uniform(3, positions="released"), 8) == [3, 6]


@pytest.mark.parametrize(("symbols", "interval"), [(50, 10), (100, 20)])
def test_released_positions_write_five_times_in_both_published_lengths(symbols: int, interval: int) -> None:
    """Four slots; the encoder also reads a terminator, so that its last step sees everything."""
    length = symbols + 1
    assert optimal_interval(length, slots=4) == interval
    positions = dense(Uniform(interval, positions="released"), length)
    assert len(positions) == 5 and positions[-1] == length - 1


def test_interval_is_at_least_one() -> None:
    assert optimal_interval(30, slots=4) == 6 and optimal_interval(3, slots=10) == 1


@pytest.mark.parametrize(("hold", "kind"), [("both", "hold"), ("write", "hold_write"), ("read", "hold_read")])
def test_what_is_held(hold: Any, kind: str) -> None:
    assert Uniform(2, hold=hold).schedule(2) == [kind, "dense"]
    assert set(RandomSteps(0.5, hold=hold).schedule(50)) == {kind, "dense"}


def test_cached_uniform_fills_the_cache_between_writes() -> None:
    assert CachedUniform(3).schedule(4) == ["cache", "cache", "cached", "cache"]


def test_random_steps_hang_on_seed_and_step_alone() -> None:
    whole = RandomSteps(0.3, seed=1).schedule(1000)
    assert whole == RandomSteps(0.3, seed=1).schedule(1000) != RandomSteps(0.3, seed=2).schedule(1000)
    assert whole.count("dense") == pytest.approx(300, abs=60)
    assert dense(RandomSteps(0.0), 20) == [] and dense(RandomSteps(1.0), 20) == list(range(20))


def test_dense_from_a_step() -> None:
    assert dense(DenseFrom(Uniform(3), 4), 8) == [2, 4, 5, 6, 7]
    assert dense(DenseFrom(Uniform(3), 4), 3, start=5) == [5, 6, 7]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("every", EveryStep()),
        ("uniform:10", Uniform(10)),
        ("uniform:10:released", Uniform(10, positions="released")),
        ("cached:5:8", CachedUniform(5, attention_size=8)),
        ("random:0.1", RandomSteps(0.1)),
        ("random:0.1:3", RandomSteps(0.1, seed=3)),
    ],
)
def test_text_forms(text: str, policy: WritingPolicy) -> None:
    assert repr(policy_from(text)) == repr(policy)


@pytest.mark.parametrize("text", ["", "every:1", "uniform", "uniform:two", "cached:1:2:3", "random:0.1:x"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="writing must be 'every', 'uniform:L'"):
        policy_from(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(0), "interval must be an integer of at least 1, got 0"),
        (lambda: Uniform(2, positions="relased"), "unknown positions 'relased': did you mean 'released'"),  # type: ignore[arg-type]
        (lambda: Uniform(2, hold="reads"), "unknown hold 'reads': did you mean 'read'"),  # type: ignore[arg-type]
        (lambda: CachedUniform(2, attention_size=0), "attention_size must be an integer of at least 1, got 0"),
        (lambda: RandomSteps(1.5), r"probability must be in \[0, 1\], got 1\.5"),
        (lambda: DenseFrom(EveryStep(), -1), "step must be at least 0, got -1"),
        (lambda: optimal_interval(0, 4), "length must be an integer of at least 1, got 0"),
    ],
)
def test_bad_option_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()
