"""Carried state: a model goes on from chunk to chunk of a long sequence, and from batch to batch of a stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchmann.core.cell import Cell
from torchmann.core.errors import DataError, OptionError
from torchmann.core.state import Tree, map_leaves, named_leaves
from torchmann.engines import Recurrent
from torchmann.tasks import Batch, StreamTask, Task


class Carried:
    """The state that a model carries through a stream, and where in the stream it is.

    Example::

        carried = Carried()
        for index in range(batches):
            batch = task.batch(index, rows, seed=0)
            carried.begin(task, index, rows, "train")
            output, state = model(batch.inputs, **carried.options(batch))
            carried.keep(state)

    Where the task is no stream, every batch begins anew and the model gets no keyword that it would not get anyway.
    """

    def __init__(self) -> None:
        self.state: Tree = None
        self.start = 0
        self.streams = False

    def begin(self, task: Task, index: int, rows: int, split: str) -> None:
        """Come to a batch: forget the state unless the batch goes on from it."""
        self.streams = isinstance(task, StreamTask)
        self.start = task.position(index, rows, split) if isinstance(task, StreamTask) else 0
        if not self.start:
            self.state = None

    def options(self, batch: Batch, first: int = 0) -> dict[str, Any]:
        """The keywords of a model's call for a batch, or for the chunk of it that begins at its step `first`."""
        # In a stream every step answers: decoding with the whole memory would overrule the writing policy everywhere.
        decode_from = None if self.streams else first + batch.first_answer_step
        options: dict[str, Any] = {"lengths": batch.lengths, "decode_from": decode_from}
        if self.state is not None:
            options |= {"state": self.state, "start": self.start + first}
        return options

    def keep(self, state: Tree) -> None:
        """Take the state after a batch or chunk along, cut from the graph."""
        self.state = map_leaves(Tensor.detach, state)


def recurrent_body(model: nn.Module) -> Recurrent | None:
    """The part of a model that has a cell; None where there is none."""
    body = model if isinstance(model, Recurrent) else getattr(model, "body", None)
    return body if isinstance(body, Recurrent) else None


def cell_of(model: nn.Module) -> Cell | None:
    """The cell of a model's recurrent body; None where there is none."""
    body = recurrent_body(model)
    return None if body is None else body.cell


def restored_state(model: nn.Module, leaves: dict[str, Tensor], device: torch.device) -> Tree:
    """A state of the model from its leaves by name (`State.flatten`), on `device`.

    Raises:
        OptionError: the model has no recurrent body.
        DataError: the leaves are those of another model.
    """
    body = recurrent_body(model)
    if body is None:
        raise OptionError(f"a {type(model).__name__} has no Recurrent body, so its state cannot be restored.")
    empty = body.initial_state(0)
    if set(leaves) != {name for name, _ in named_leaves(empty)}:
        raise DataError(f"the state with the leaves {sorted(leaves)} is of another model.")
    return empty.unflatten({name: leaf.to(device, copy=True) for name, leaf in leaves.items()})
