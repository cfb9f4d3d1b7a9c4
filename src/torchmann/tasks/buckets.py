"""Length buckets: batches of rows of about the same length, so that little of a batch is padding.

Legend: N rows of a data set, K batches of an epoch, B rows of a batch.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from torchmann.core.errors import DataError, require_positive
from torchmann.tasks.task import random_stream


@lru_cache(maxsize=8)
def bucketed_order(lengths_N: Tensor, batch_size: int, seed: int, epoch: int, pool: int) -> Tensor:
    """The rows of each batch of an epoch, ``[K, B]``.

    The rows are shuffled and cut into pools of `pool` batches; each pool is sorted by length and cut into batches, and
    the batches of all pools are shuffled. So a batch still has other rows in each epoch. Every row comes once; where
    the last batch lacks some, the first ones of the shuffled rows come twice.

    Batch ``i`` of training has the rows ``bucketed_order(lengths, B, seed, i // K, pool)[i % K]``, whatever came
    before it: a run resumes exactly.

    Args:
        lengths_N: of the rows. It is kept by its identity with the last few results: never change it in place.
        batch_size: B.
        seed: of the training run.
        epoch: number of the epoch, from 0.
        pool: batches that are sorted together; 1 leaves the batches random.

    Raises:
        OptionError: `batch_size` or `pool` is below 1.
        DataError: there are no rows.
    """
    require_positive(batch_size=batch_size, pool=pool)
    count = len(lengths_N)
    if not count:
        raise DataError("there are no rows to make batches of.")
    draws = random_stream(seed, "train", epoch)
    batches = batches_of_epoch(count, batch_size)
    place = torch.arange(batches * batch_size)
    rows = torch.randperm(count, generator=draws)[place % count]
    by_length = lengths_N[rows].argsort(stable=True)
    by_pool = (by_length // (batch_size * pool)).argsort(stable=True)
    order_KB = rows[by_length[by_pool]].view(batches, batch_size)
    return order_KB[torch.randperm(batches, generator=draws)]


def batches_of_epoch(count: int, batch_size: int) -> int:
    """K: batches in which each of `count` rows comes."""
    return -(-count // batch_size)


def padding_share(lengths_N: Tensor, order_KB: Tensor) -> float:
    """Share of the steps of some batches that is padding: 0 where all rows of each batch are equally long.

    Args:
        lengths_N: of the rows.
        order_KB: the rows of each batch, as `bucketed_order` gives them; its `pool` of 1 is no bucketing.
    """
    lengths_KB = lengths_N[order_KB].double()
    steps = lengths_KB.amax(1).sum() * order_KB.shape[1]
    return 1 - float(lengths_KB.sum() / steps)
