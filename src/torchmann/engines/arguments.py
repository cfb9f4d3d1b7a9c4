"""What `Recurrent` checks before any work is done; each error names the argument, the shapes, and the fix.

Shapes: T time, B batch, I input.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError, ShapeError
from torchmann.core.precision import autocast_is_on
from torchmann.core.state import named_leaves


def check_input(cell: Cell, inputs: Tensor, batch_first: bool) -> None:
    """Raise `ShapeError` unless `inputs` is a float sequence ``[T, B, I]`` (or ``[T, I]``) that the cell can take."""
    layout = "[batch, time, features]" if batch_first else "[time, batch, features]"
    shape = tuple(inputs.shape)
    if not inputs.is_floating_point():
        raise ShapeError(
            f"input must be a float tensor {layout}, got {inputs.dtype} of shape {shape}: "
            "embed tokens first (torchmann.SequenceModel does), or convert with input.float()."
        )
    if inputs.dim() not in (2, 3):
        raise ShapeError(f"input must be {layout} or unbatched [time, features], got shape {shape}.")
    if shape[-1] != cell.input_size:
        raise ShapeError(
            f"input must have {cell.input_size} features in its last axis, got shape {shape}: "
            f"build the model with input_size={shape[-1]}, or check that the layout is {layout}."
        )
    time_axis = 1 if batch_first and inputs.dim() == 3 else 0
    if shape[time_axis] == 0:
        raise ShapeError(f"input must have at least one time step, got shape {shape}: leave empty sequences out.")
    parameter = next((p for p in cell.parameters() if p.is_floating_point()), None)
    if parameter is not None and parameter.dtype != inputs.dtype and not autocast_is_on(inputs.device.type):
        raise ShapeError(
            f"input must have the dtype of the model's parameters, {parameter.dtype}, got {inputs.dtype}: "
            f"convert one of them, e.g. input.to({parameter.dtype})."
        )


def check_lengths(lengths: Any, batch_size: int, steps: int) -> Tensor:
    """`lengths` as an int64 tensor ``[B]`` on the CPU.

    Raises:
        ShapeError: not one length per row.
        OptionError: a length outside 1..T.
    """
    lengths_B = torch.as_tensor(lengths)
    if lengths_B.is_floating_point() or lengths_B.dtype == torch.bool:
        raise ShapeError(f"lengths must be integers, got {lengths_B.dtype}: convert with lengths.long().")
    lengths_B = lengths_B.to(device="cpu", dtype=torch.int64)
    if tuple(lengths_B.shape) != (batch_size,):
        raise ShapeError(f"lengths must be [{batch_size}], one per row, got shape {tuple(lengths_B.shape)}.")
    if batch_size and (int(lengths_B.min()) < 1 or int(lengths_B.max()) > steps):
        raise OptionError(
            f"lengths must lie in 1..{steps} (the input's time steps), got values from {int(lengths_B.min())} to "
            f"{int(lengths_B.max())}: leave empty rows out, and pad the input to the longest."
        )
    return lengths_B


def check_reset(reset: Tensor, shape: tuple[int, ...]) -> None:
    """Raise `ShapeError` unless `reset` is boolean and has the input's layout without its feature axis."""
    if reset.dtype != torch.bool:
        raise ShapeError(f"reset must be boolean, got {reset.dtype}: convert with reset.bool().")
    if tuple(reset.shape) != shape:
        raise ShapeError(
            f"reset must have the input's layout without the feature axis, {shape}, got {tuple(reset.shape)}."
        )


def check_state(state: Any, expected: Any) -> None:
    """Raise `ShapeError` unless `state` is of the type, structure and shapes of `expected`."""
    if type(state) is not type(expected):
        raise ShapeError(
            f"state must be a {type(expected).__name__}, got {type(state).__name__}: "
            "pass the state that this model returned, or None to start anew."
        )
    given, wanted = dict(named_leaves(state)), dict(named_leaves(expected))
    for name in wanted.keys() | given.keys():
        got = tuple(given[name].shape) if name in given else "nothing"
        want = tuple(wanted[name].shape) if name in wanted else "nothing"
        if got != want:
            raise ShapeError(
                f"state leaf {name!r} must be {want} for this model and batch, got {got}: "
                "pass a state of this model with one row per row of the input."
            )


def check_noise(noise: Any, expected: Any) -> None:
    """Raise `ShapeError` unless `noise` has the structure and shapes of `expected` (a tree on the meta device)."""
    given = {name: tuple(leaf.shape) for name, leaf in named_leaves(noise)}
    wanted = {name: tuple(leaf.shape) for name, leaf in named_leaves(expected)}
    if given != wanted:
        raise ShapeError(f"noise must have the leaves {wanted} ([T, B, ...] each), got {given}.")


def resolve_schedule(cell: Cell, schedule: Any, steps: int, start: int) -> Sequence[Hashable]:
    """The kind of each step: the cell's own schedule, that of a given policy, or a given sequence.

    Raises:
        OptionError: negative `start`, or a sequence of another length than the input.
    """
    if start < 0:
        raise OptionError(f"start must be the absolute number of the first step, at least 0, got {start}.")
    if schedule is None:
        return cell.schedule(steps, start)
    if hasattr(schedule, "schedule"):
        return list(schedule.schedule(steps, start))
    kinds = list(schedule)
    if isinstance(schedule, str) or len(kinds) != steps:
        raise OptionError(
            f"schedule must be a writing policy or one step kind for each of the {steps} steps, got {schedule!r}."
        )
    return kinds
