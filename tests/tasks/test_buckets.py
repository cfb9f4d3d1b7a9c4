"""Length buckets: every row, whole batches, little padding, and the same ones each time."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmann.core.errors import DataError, OptionError
from torchmann.tasks.buckets import batches_of_epoch, bucketed_order, padding_share

LENGTHS = torch.randint(1, 200, (1000,), generator=torch.Generator().manual_seed(1))


def slow_share(lengths: list[int], order: list[list[int]]) -> float:
    padded = steps = 0
    for batch in order:
        longest = max(lengths[row] for row in batch)
        for row in batch:
            steps += longest
            padded += longest - lengths[row]
    return padded / steps


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    batch_size=st.integers(1, 12),
    pool=st.integers(1, 8),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_batches_are_full_and_have_every_row(
    lengths: list[int], batch_size: int, pool: int, seed: int, epoch: int
) -> None:
    order = bucketed_order(torch.tensor(lengths), batch_size, seed, epoch, pool)
    assert order.shape == (batches_of_epoch(len(lengths), batch_size), batch_size)
    times = order.flatten().bincount(minlength=len(lengths))
    assert times.min() >= 1
    if batch_size <= len(lengths):
        assert int((times - 1).sum()) == order.numel() - len(lengths) < batch_size
    assert padding_share(torch.tensor(lengths), order) == pytest.approx(slow_share(lengths, order.tolist()))


@pytest.mark.parametrize("pool", [1, 5, 1000])
def test_pools_are_sorted_by_length(pool: int) -> None:
    """Taken in the order of their lengths, batches of one pool overlap in no more than a length."""
    order = bucketed_order(LENGTHS, 10, 0, 0, pool)
    ranges = sorted((int(LENGTHS[batch].min()), int(LENGTHS[batch].max())) for batch in order)
    overlapping = sum(low < high for (_, high), (low, _) in pairwise(ranges))
    assert overlapping == 0 if pool == 1000 else overlapping > 80


def test_larger_pools_pad_less() -> None:
    shares = [padding_share(LENGTHS, bucketed_order(LENGTHS, 10, 0, 0, pool)) for pool in (1, 5, 20, 100)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.4 and shares[-1] < 0.02


def test_batches_of_an_epoch_come_in_random_order() -> None:
    longest = LENGTHS[bucketed_order(LENGTHS, 10, 0, 0, 100)].amax(1).tolist()
    assert longest != sorted(longest)


def test_each_epoch_and_seed_has_batches_of_its_own() -> None:
    def batches(seed: int, epoch: int) -> set[frozenset[int]]:
        return {frozenset(batch) for batch in bucketed_order(LENGTHS, 10, seed, epoch, 20).tolist()}

    first = batches(0, 0)
    assert not first & batches(0, 1) and not first & batches(1, 0)
    bucketed_order.cache_clear()
    assert batches(0, 0) == first, "the same ones after a resumption"


def test_bad_arguments_are_named() -> None:
    with pytest.raises(OptionError, match="pool must be an integer of at least 1, got 0"):
        bucketed_order(LENGTHS, 4, 0, 0, 0)
    with pytest.raises(OptionError, match="batch_size must be"):
        bucketed_order(LENGTHS, 0, 0, 0, 1)
    with pytest.raises(DataError, match="no rows"):
        bucketed_order(torch.zeros(0), 4, 0, 0, 1)
