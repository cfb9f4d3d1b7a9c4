"""Evaluation: a model's loss and scores on held-out sequences, the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from torchmann.tasks import Task
from torchmann.training.refreshing import split_output
from torchmann.training.seeds import HELD_OUT_SEED
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


def evaluate(model: nn.Module, task: Task, split: str, *, batch_size: int, batches: int, device: torch.device) -> Means:
    """The mean loss and scores of `model` on the first `batches` batches of a held-out split.

    Args:
        model: called ``model(inputs, lengths=..., decode_from=...)`` in evaluation mode; its own mode is restored.
        task: gives the batches, the loss and the scores.
        split: ``"validation"`` or ``"test"``.
        batch_size: sequences of a batch.
        batches: how many, at least one.
        device: where the model is.
    """
    tally = Tally()
    with evaluation_mode(model):
        for index in range(batches):
            batch = task.batch(index, batch_size, seed=HELD_OUT_SEED, split=split).to(device)
            output, _ = model(batch.inputs, lengths=batch.lengths, decode_from=batch.first_answer_step)
            answer, _ = split_output(task, output)
            tally.add(task.loss(answer, batch), task.scores(answer, batch), batch.batch_size)
    return tally.means()


def final_evaluation(
    model: nn.Module, task: Task, *, batch_size: int, batches: int, device: torch.device
) -> dict[str, Means]:
    """The test split under ``"test"``, and every size beyond the trained ones under its label.

    A finite test split is taken whole; of endless ones, `batches` batches.
    """
    results = {}
    for label, sized in {"test": task, **task.longer()}.items():
        count = sized.batches("test", batch_size)
        results[label] = evaluate(
            model, sized, "test", batch_size=batch_size, batches=batches if count is None else count, device=device
        )
    return results
