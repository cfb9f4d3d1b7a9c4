"""A sequence run through a model, and all that a recorder saw of it.

Legend: T time, B batch, O output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchmann.core import Recorder
from torchmann.memories import DenseFrom
from torchmann.models import SequenceModel
from torchmann.tasks import Batch, Task
from torchmann.training.evaluate import evaluation_mode
from torchmann.training.streams import Carried


@dataclass(frozen=True)
class Recording:
    """What a model did with one sequence.

    Attributes:
        output_TO: as the model gave it.
        internals: all that was recorded, ``[T, ...]`` float by short name; NaN at the steps where it was not recorded.
        kinds: what was done with the memory at each step, as the writing schedule says.
    """

    output_TO: Tensor
    internals: dict[str, Tensor]
    kinds: tuple[str, ...]


def row_of(batch: Batch, row: int) -> Batch:
    """One sequence of a batch as a batch of its own, cut at its length.

    Decoding begins where it does in the whole batch, for so the model is trained and measured.
    """
    return batch.rows(slice(row, row + 1)).steps(0, int(batch.lengths[row]))


def run(model: SequenceModel, task: Task, batch: Batch) -> tuple[Tensor, Sequence[Hashable]]:
    """The output ``[T, B, O]`` of `model` for the first batch of a held-out split, or for rows of it; and the schedule.

    The model must be in evaluation mode.
    """
    carried = Carried()
    carried.begin(task, 0, batch.batch_size, "test")
    options = carried.options(batch)
    output_TBO, _ = model(batch.inputs, **options)
    cell, decode_from = model.body.cell, options["decode_from"]
    policy = cell if decode_from is None else DenseFrom(cell, decode_from)
    return output_TBO, policy.schedule(len(batch.inputs))


def record_row(model: SequenceModel, task: Task, row: Batch) -> Recording:
    """Run `model` in evaluation mode over a batch of one sequence of `task`, and keep everything."""
    with evaluation_mode(model), Recorder(model) as recorder:
        output_T1O, schedule = run(model, task, row)
    return Recording(
        output_TO=output_T1O[:, 0].float(),
        internals=_internals(recorder, len(row.inputs)),
        kinds=tuple(" / ".join(kind) if isinstance(kind, tuple) else str(kind) for kind in schedule),
    )


def _internals(recorder: Recorder, steps: int) -> dict[str, Tensor]:
    """By short name; what is both offered by a part and carried in the state comes from where it is complete."""
    found: dict[str, Tensor] = {}
    complete: dict[str, bool] = {}
    for full_name in sorted(recorder.names(), key=_is_state):
        name = short_name(full_name)
        if complete.get(name):
            continue
        recorded_at = recorder.steps(full_name)
        complete[name] = len(set(recorded_at)) == steps
        if name not in found or complete[name]:
            frames = recorder[full_name][:, 0].float()
            found[name] = torch.full((steps, *frames.shape[1:]), float("nan"))
            for step, frame in zip(recorded_at, frames, strict=True):
                found[name][step] = frame
    return found


def short_name(full_name: str) -> str:
    """A recorded name without the way to the cell, and without what only says where it is kept.

    ``body.cell.memory.usage`` and ``body.cell.state.memory.usage`` are both ``memory.usage``; a layer is one of
    ``cells`` as a part and one of ``layers`` in the state.
    """
    parts = ["layers" if part == "cells" else part for part in full_name.removeprefix("body.cell.").split(".")]
    if "state" in parts:
        parts = [part for part in parts if part not in ("state", "blocks")]
    return ".".join(parts)


def _is_state(full_name: str) -> bool:
    return "state" in full_name.split(".")
