from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from torchmann.training.intervals import Interval, interval


def clustered(sequences: int, bits: int, mean: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Right bits and all bits of sequences of 1 to `bits` bits, in each of which bits are right with another
    probability: uniform around the mean, so that the share of all bits is the mean."""
    width = min(mean, 1 - mean)
    probability_S = mean + width * (2 * torch.rand(sequences, generator=generator) - 1)
    weights_S = torch.randint(1, bits + 1, (sequences,), generator=generator)
    right_SB = torch.rand(sequences, bits, generator=generator) < probability_S.unsqueeze(-1)
    return (right_SB & (torch.arange(bits) < weights_S.unsqueeze(-1))).sum(1), weights_S


@pytest.mark.parametrize(("sequences", "mean"), [(100, 0.5), (400, 0.9), (100, 0.97)])
def test_nineteen_of_twenty_intervals_hold_the_truth(sequences: int, mean: float) -> None:
    generator = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(500):
        low, high = interval(*clustered(sequences, 20, mean, generator))
        held += low <= mean <= high
    assert 0.92 <= held / 500 <= 0.98


def test_bits_of_a_sequence_do_not_count_as_many_sequences() -> None:
    """If all bits of a sequence are right or wrong together, the interval is that of the sequences."""
    right_S = torch.tensor([1, 0, 1, 1, 0, 1, 1, 1])
    assert interval(8 * right_S, torch.full((8,), 8)) == pytest.approx(interval(right_S, torch.ones(8)), abs=0.02)


def test_independent_answers_have_wilsons_interval() -> None:
    right_S = (torch.arange(100) < 80).float()
    low, high = interval(right_S, torch.ones(100))
    assert (low, high) == pytest.approx((0.7112, 0.8666), abs=1e-3)  # of 80 in 100, from tables


@pytest.mark.parametrize(("value", "expected"), [(1.0, (0.9905, 1.0)), (0.0, (0.0, 0.0095))])
def test_a_perfect_score_is_not_certain(value: float, expected: tuple[float, float]) -> None:
    found = interval(torch.full((400,), 10 * value), torch.full((400,), 10.0))
    assert found == pytest.approx(expected, abs=1e-4)


def test_what_is_no_share_has_the_normal_interval() -> None:
    values = torch.tensor([0.5, 1.5, 2.5, 3.0])
    low, high = interval(values, torch.ones(4))
    half = 1.959964 * float(values.std()) / 2
    assert (low, high) == pytest.approx((1.875 - half, 1.875 + half), rel=1e-5)


def test_too_little_has_no_interval() -> None:
    assert interval(torch.zeros(3), torch.zeros(3)) is None
    assert interval(torch.tensor([0.3]), torch.ones(1)) is None
    assert interval(torch.tensor([math.nan, 1.0]), torch.ones(2)) is None
    assert interval(torch.ones(1), torch.ones(1)) is not None, "one right answer tells a little"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_an_interval_holds_its_score_and_stays_a_share(rows: list[tuple[int, int]]) -> None:
    totals = torch.tensor([min(pair) for pair in rows])
    weights = torch.tensor([max(pair) for pair in rows])
    found = interval(totals, weights)
    if not weights.sum():
        assert found is None
        return
    assert isinstance(found, Interval)
    score = float(totals.sum() / weights.sum())
    assert 0.0 <= found.low <= score + 1e-6 and score - 1e-6 <= found.high <= 1.0 and found.low < found.high
    everything = torch.cat([totals] * 4), torch.cat([weights] * 4)
    more = interval(*everything)
    assert more.high - more.low < found.high - found.low, "more sequences say more"
