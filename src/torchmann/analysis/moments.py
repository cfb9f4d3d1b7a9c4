"""Sequences as a model saw them at one or several moments of its training."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from torchmann.analysis.microscope import Film
from torchmann.analysis.sample import record, telling_rows
from torchmann.core.errors import DataError
from torchmann.models import SequenceModel
from torchmann.tasks import Batch, Task
from torchmann.training import Config, RunDirectory

Weights = Mapping[str, Tensor]

MOST_MOMENTS = 12
"""Kept checkpoints that are shown at most; of more, some at equal distances."""


def films(
    model: SequenceModel, task: Task, moments: Sequence[tuple[str, Weights]], *, refreshed: bool = False
) -> list[Film]:
    """A telling test sequence at each moment of training, and the worst answered one at the last moment.

    Args:
        model: is left as it is.
        task: gives the sequences.
        moments: what each moment is called, and the weights then, in order; the last ones are those of `model`.
        refreshed: as of `record_sample`.
    """
    typical, *worst = telling_rows(model, task)
    return [
        film("a test sequence", model, task, typical, moments, refreshed=refreshed),
        *(film("the most mistakes", model, task, row, moments[-1:], refreshed=refreshed) for row in worst),
    ]


def longer_films(
    model: SequenceModel, task: Task, moments: Sequence[tuple[str, Weights]], *, refreshed: bool = False
) -> list[Film]:
    """A test sequence of each size beyond the trained ones, at the last moment; arguments as of `films`."""
    return [
        film(
            f"{label}, beyond the trained sizes",
            model,
            sized,
            telling_rows(model, sized)[0],
            moments[-1:],
            refreshed=refreshed,
        )
        for label, sized in task.longer().items()
    ]


def film(
    title: str,
    model: SequenceModel,
    task: Task,
    row: Batch,
    moments: Sequence[tuple[str, Weights]],
    *,
    refreshed: bool = False,
) -> Film:
    """One sequence through the weights of each moment; arguments as of `films`."""
    then, samples = copy.deepcopy(model), []  # for the weights of a moment may be the model's own tensors
    for _, weights in moments:
        then.load_state_dict(weights)
        samples.append(record(then, task, row, refreshed=refreshed))
    return Film(f"{title} ({len(row.inputs)} steps)", samples, [label for label, _ in moments])


def kept_moments(
    directory: RunDirectory, config: Config, task: Task, model: SequenceModel
) -> list[tuple[str, Weights]]:
    """The weights of a run before training, of its kept checkpoints, and those of `model`, which are stored last.

    A damaged checkpoint is passed over.
    """
    moments: list[tuple[str, Weights]] = [("untrained", config.build_model(task).state_dict())]
    for iteration in _spread(directory.checkpoints.iterations()):
        try:
            moments.append((f"iteration {iteration:,}", directory.checkpoints.load(iteration)["training"]["model"]))
        except DataError:
            continue
    label, weights = moments[-1]
    last = model.state_dict()
    same = all(torch.equal(weights[name], value) for name, value in last.items())
    return [*moments[:-1], (label, last)] if same else [*moments, ("as stored last", last)]


def _spread(iterations: Sequence[int]) -> list[int]:
    """Some of them at equal distances, the first and the last included."""
    if len(iterations) <= MOST_MOMENTS:
        return list(iterations)
    places = torch.linspace(0, len(iterations) - 1, MOST_MOMENTS).round().int().tolist()
    return [iterations[place] for place in places]
