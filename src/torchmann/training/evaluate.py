"""Evaluation: a model's loss and scores on held-out sequences, the same ones each time.

Shapes: T time, B batch, O output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchmann.tasks import Batch, StreamTask, Task
from torchmann.training.intervals import Interval, interval
from torchmann.training.refreshing import split_output
from torchmann.training.seeds import HELD_OUT_SEED
from torchmann.training.streams import Carried
from torchmann.training.tally import Means, Tally


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """`model` in evaluation mode and no graph inside; its own mode again afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def answers(
    model: nn.Module, task: Task, split: str, *, batch_size: int, batches: int, device: torch.device
) -> Iterator[tuple[Batch, Tensor]]:
    """The first batches of a held-out split, each with the answer ``[T, B, O]`` of `model` to it.

    Args:
        model: called ``model(inputs, lengths=..., decode_from=...)`` in evaluation mode, and in a stream with
            ``state=`` and ``start=`` too; its own mode is restored.
        task: gives the batches.
        split: ``"validation"`` or ``"test"``.
        batch_size: sequences of a batch.
        batches: how many, at least one.
        device: where the model is.
    """
    carried = Carried()
    for index in range(batches):
        batch = task.batch(index, batch_size, seed=HELD_OUT_SEED, split=split).to(device)
        carried.begin(task, index, batch_size, split)
        with evaluation_mode(model):
            output_TBO, state = model(batch.inputs, **carried.options(batch))
        carried.keep(state)
        yield batch, split_output(task, output_TBO)[0]


def evaluate(model: nn.Module, task: Task, split: str, *, batch_size: int, batches: int, device: torch.device) -> Means:
    """The mean loss and scores of `model` on the first batches of a held-out split; arguments as for `answers`."""
    tally = Tally()
    for batch, answer_TBO in answers(model, task, split, batch_size=batch_size, batches=batches, device=device):
        tally.add(task.loss(answer_TBO, batch), task.scores(answer_TBO, batch), batch.batch_size)
    return tally.means()


class Evaluation(NamedTuple):
    """How good a model is, and how far that may be from the truth.

    Attributes:
        loss: mean.
        scores: mean, by name; without those of which nothing was scored.
        intervals: of the scores, see `torchmann.training.intervals`; without those that the sequences do not tell.
        sequences: how many were answered.
    """

    loss: float
    scores: dict[str, float]
    intervals: dict[str, Interval]
    sequences: int


def evaluate_with_intervals(
    model: nn.Module, task: Task, split: str, *, batch_size: int, batches: int, device: torch.device
) -> Evaluation:
    """Like `evaluate`, with confidence intervals, for which every sequence is scored by itself.

    In a stream the rows are what is independent, each with all its batches.
    """
    tally, sums = Tally(), RowSums(add_rows=isinstance(task, StreamTask))
    for batch, answer_TBO in answers(model, task, split, batch_size=batch_size, batches=batches, device=device):
        tally.add(task.loss(answer_TBO, batch), task.scores(answer_TBO, batch), batch.batch_size)
        sums.add(task, answer_TBO, batch)
    means = tally.means()
    return Evaluation(means.loss, means.scores, sums.intervals(), sums.sequences)


class RowSums:
    """The scores of each sequence by itself.

    Args:
        add_rows: row b of a batch goes on with the sequence of row b of the batch before.
    """

    def __init__(self, *, add_rows: bool) -> None:
        self.add_rows = add_rows
        self._sums_SN2 = torch.zeros(0, 0, 2)  # total and weight of each score of each sequence
        self._names: list[str] = []

    @property
    def sequences(self) -> int:
        """How many there are."""
        return len(self._sums_SN2)

    def add(self, task: Task, answer_TBO: Tensor, batch: Batch) -> None:
        """Score the rows of one batch."""
        scores = []
        for row in range(batch.batch_size):
            rows = slice(row, row + 1)
            scores.append(task.scores(answer_TBO[:, rows], batch.rows(rows)))
        self._names = list(scores[0])
        flat = [part for score in scores for name in self._names for part in score[name]]
        sums_SN2 = torch.stack([part.double() for part in flat]).view(batch.batch_size, len(self._names), 2).cpu()
        if not self.sequences:
            self._sums_SN2 = sums_SN2
        elif self.add_rows:
            self._sums_SN2 = self._sums_SN2 + sums_SN2
        else:
            self._sums_SN2 = torch.cat([self._sums_SN2, sums_SN2])

    def intervals(self) -> dict[str, Interval]:
        """The confidence intervals of the scores, by name."""
        found = {name: interval(*self._sums_SN2[:, place].unbind(-1)) for place, name in enumerate(self._names)}
        return {name: bounds for name, bounds in found.items() if bounds is not None}


def final_evaluation(
    model: nn.Module,
    task: Task,
    *,
    batch_size: int,
    batches: int,
    test_batches: int | None = None,
    device: torch.device,
) -> dict[str, Evaluation]:
    """The test split under ``"test"``, and every size beyond the trained ones under its label.

    A finite test split is taken whole; of endless ones, `batches` batches; of any, `test_batches` at most.
    """
    results = {}
    for label, sized in {"test": task, **task.longer()}.items():
        whole = sized.batches("test", batch_size)
        count = batches if whole is None else whole
        if test_batches is not None:
            count = min(count, test_batches)
        results[label] = evaluate_with_intervals(
            model, sized, "test", batch_size=batch_size, batches=count, device=device
        )
    return results
