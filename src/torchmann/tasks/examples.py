"""Tasks on a data set: a fixed number of examples in each split, walked through epoch by epoch.

Legend: N examples of the data set, B batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks.buckets import batches_of_epoch, bucketed_order
from torchmann.tasks.task import SPLITS, Batch, Task, random_stream, require_request


class ExampleTask(Task):
    """A task with a fixed number of examples.

    Training walks through its examples in an order shuffled anew for each epoch, and never ends. A held-out split is
    covered once, in a random order that is always the same: its first batches already represent all of it. With
    `buckets` its batches are sorted by length as well, for writing policies go by the shortest row of a batch.

    Args:
        rows: of each split, the numbers of its examples, below N.
        lengths_N: steps of the examples; only `buckets` need them.
        buckets: batches that are sorted by length together, see `bucketed_order`; None: batches are random.

    Raises:
        OptionError: no example is left for training, or `buckets` is below 1.
    """

    needs_data = True

    def __init__(
        self, rows: Mapping[str, Tensor], *, lengths_N: Tensor | None = None, buckets: int | None = None
    ) -> None:
        if not len(rows["train"]):
            raise OptionError("no example is left for training: keep fewer for validation.")
        if buckets is not None:
            require_positive(buckets=buckets)
        self._rows = {split: rows[split][_held_out_order(rows[split], split)] for split in SPLITS}
        self._buckets = buckets or 1
        self._lengths = None
        if buckets is not None and lengths_N is not None:
            self._lengths = {split: lengths_N[self._rows[split]] for split in SPLITS}

    @abstractmethod
    def collate(self, rows_B: Tensor) -> Batch:
        """The batch of the examples with these numbers."""

    def example_count(self, split: str) -> int:
        """The number of examples in a split."""
        require_request(0, 1, split)
        return len(self._rows[split])

    def batches(self, split: str, batch_size: int) -> int | None:
        """Batches that cover a held-out split once; None for training, which never ends."""
        require_request(0, batch_size, split)
        return None if split == "train" else batches_of_epoch(len(self._rows[split]), batch_size)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; `seed` orders the training examples, the held-out splits do not depend on it."""
        require_request(index, batch_size, split)
        rows = self._rows[split]
        if split == "train":
            return self.collate(rows[self._places(index, batch_size, seed)])
        taken = rows[self._held_out_places(split, index, batch_size)]
        if not len(taken):
            hint = "batches() tells how many there are" if len(rows) else "this task keeps none for it"
            raise OptionError(f"split {split!r} has {len(rows)} examples, so no batch {index} of {batch_size}: {hint}.")
        return self.collate(taken)

    def _places(self, index: int, batch_size: int, seed: int) -> Tensor:
        """Where the examples of a training batch stand among those of training ``[B]``."""
        count = len(self._rows["train"])
        if self._lengths is not None:
            epoch, number = divmod(index, batches_of_epoch(count, batch_size))
            return bucketed_order(self._lengths["train"], batch_size, seed, epoch, self._buckets)[number]
        places = torch.arange(index * batch_size, (index + 1) * batch_size)
        first, last = int(places[0]) // count, int(places[-1]) // count
        order = torch.cat([_shuffled(count, seed, "train", epoch) for epoch in range(first, last + 1)])
        return order[places - first * count]

    def _held_out_places(self, split: str, index: int, batch_size: int) -> Tensor:
        """Likewise of a held-out batch; the last one, if it is not full, has whatever the others have not."""
        places, full = torch.arange(len(self._rows[split])), len(self._rows[split]) // batch_size
        if self._lengths is None or index >= full:
            return places[index * batch_size : (index + 1) * batch_size]
        return bucketed_order(_first(self._lengths[split], full * batch_size), batch_size, 0, 0, self._buckets)[index]


def _held_out_order(rows: Tensor, split: str) -> Tensor:
    return torch.arange(len(rows)) if split == "train" else _shuffled(len(rows), 0, split, 0)


@lru_cache(maxsize=8)
def _first(lengths_N: Tensor, count: int) -> Tensor:
    """Some of the lengths, always as the same tensor, by which `bucketed_order` knows it."""
    return lengths_N[:count]


@lru_cache(maxsize=8)
def _shuffled(count: int, seed: int, split: str, epoch: int) -> Tensor:
    return torch.randperm(count, generator=random_stream(seed, split, epoch))
