"""One call of the kernel: every tensor is checked before its address is taken.

Shapes: T time, B batch, I input, H hidden, R read heads, N slots, W width, K blocks.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, ShapeError, require_positive
from torchmann.engines.kernels.dnc.form import Form
from torchmann.engines.kernels.dnc.library import (
    CONTROLLERS,
    LEAVES,
    OPTIONS,
    WEIGHTS,
    Problem,
    library,
    sizes_of,
)
from torchmann.engines.kernels.pool import buffer

_INTS = 5 + len(OPTIONS)


def encoded(form: Form) -> tuple[list[int], list[float]]:
    """A form as an operator takes it: integers, the last of which says which weights there are, and limits."""
    mask = sum(1 << place for place, name in enumerate(WEIGHTS) if name in form.weights)
    return [*form[:5], *form.options, mask], list(form.limits)


def decoded(integers: Sequence[int], limits: Sequence[float]) -> Form:
    """The form again."""
    names = tuple(name for place, name in enumerate(WEIGHTS) if integers[_INTS] >> place & 1)
    hidden, heads, slots, width, blocks = integers[:5]
    return Form(hidden, heads, slots, width, blocks, tuple(integers[5:_INTS]), tuple(limits), names)


@lru_cache(maxsize=256)
def leaf_shapes(form: Form, lead: tuple[int, ...], batch_size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the state's leaves by name."""
    option = dict(zip(OPTIONS, form.options, strict=True))
    block = (form.blocks,) if option["gated"] else ()
    slots = form.slots
    shapes = {
        "h": (form.hidden,),
        "c": (form.hidden,),
        "reads": (form.heads * form.width,),
        "memory": (*block, slots, form.width),
        "usage": (*block, slots),
        "write_weights": (*block, 1, slots),
        "read_weights": (*block, form.heads, slots),
        "precedence": (*block, 1, slots),
        "link": (*block, 1, slots, slots),
    }
    return {name: (*lead, batch_size, *shapes[name]) for name in form.leaves}


@lru_cache(maxsize=256)
def weight_shapes(form: Form, input_size: int, interface_size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights by name."""
    hidden = form.hidden
    gates = {"gru": 3, "elman": 1}.get(form.controller, 4) * hidden
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (gates, input_size + (form.heads * form.width if form.feedback else 0)),
        "weight_hh": (gates, hidden),
        "bias_ih": (gates,),
        "bias_hh": (gates,),
        "gain": (5, hidden),
        "shift": (5, hidden),
        "norm_gain": (hidden,),
        "norm_shift": (hidden,),
        "interface": (interface_size, hidden),
        "interface_bias": (interface_size,),
    }
    return {name: shapes[name] for name in form.weights}


class Call:
    """One call of the kernel: its problem with the pointers filled in, and the tensors that they point into."""

    def __init__(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        state: Sequence[Tensor],
        fresh: Sequence[Tensor],
        steps: tuple[Tensor | None, Tensor | None, Tensor | None],
        form: Form,
        members: int,
        keep: bool,
        interval: int,
    ) -> None:
        if x.dtype not in (torch.float32, torch.float64):
            raise ShapeError(f"input must be float32 or float64 for the fused kernel, got {x.dtype}: convert it.")
        lead = (members,) if members else ()
        if x.dim() != 3 + len(lead):
            raise ShapeError(f"input must be [T, B, I] for the fused kernel, got shape {tuple(x.shape)}.")
        _check_form(form, members, interval)
        self.form, self.dtype, self.lead = form, x.dtype, lead
        self.held: list[Tensor] = []
        self.rows = T, B, inputs = x.shape[-3:]
        self.problem = Problem(
            members or 1,
            T,
            B,
            inputs,
            *form[:5],
            *form.options,
            keep,
            interval,
            threads_for((members or 1) * B),
            *form.limits,
        )
        self.problem.x = self.pointer("input", x, (*lead, T, B, inputs))
        for name, tensor, dtype, shape in zip(
            ("kinds", "lengths", "reset"),
            steps,
            (torch.int8, torch.int64, torch.bool),
            ((T,), (*lead, B), (*lead, T, B)),
            strict=True,
        ):
            if tensor is not None:
                setattr(self.problem, name, self.pointer(name, tensor, shape, dtype))
                low, high = {"kinds": (0, 3), "lengths": (0, T), "reset": (0, 1)}[name]
                if tensor.numel() and not low <= int(tensor.min()) <= int(tensor.max()) <= high:
                    raise OptionError(
                        f"{name} must lie in {low}..{high}, got {int(tensor.min())}..{int(tensor.max())}."
                    )
        self.sizes = sizes_of(self.problem, self.dtype)
        shapes = weight_shapes(form, inputs, self.sizes.interface)
        for name, tensor in zip(form.weights, weights, strict=True):
            self.problem.weight[WEIGHTS.index(name)] = self.pointer(name, tensor, (*lead, *shapes[name]))
        self.leaf_shapes = leaf_shapes(form, lead, B)
        self.leaf_pointers(self.problem.state, state)
        if fresh:
            self.leaf_pointers(self.problem.fresh, fresh)

    def pointer(self, name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> int:
        """The address of a tensor's numbers, which nothing unfit may pass."""
        dtype = self.dtype if dtype is None else dtype
        if tensor.dtype != dtype or tensor.layout != torch.strided or not tensor.is_cpu:
            raise ShapeError(
                f"{name} must be a dense {dtype} tensor on the CPU for the fused kernel, got {tensor.dtype} "
                f"({tensor.layout}) on {tensor.device}: convert it, or use engine='eager'."
            )
        if tensor.shape != shape:
            raise ShapeError(f"{name} must be {tuple(shape)} for the fused kernel, got {tuple(tensor.shape)}.")
        if not tensor.is_contiguous():
            tensor = tensor.contiguous()
            self.held.append(tensor)
        return tensor.data_ptr()

    def leaf_pointers(self, pointers: Any, leaves: Sequence[Tensor | None]) -> None:
        """Fill in the leaves of a state; None stays null."""
        for name, leaf in zip(self.form.leaves, leaves, strict=True):
            if leaf is not None:
                pointers[LEAVES.index(name)] = self.pointer(f"state leaf {name}", leaf, self.leaf_shapes[name])

    def run(self, entry: str, scratch: int) -> None:
        """Call an entry point with so much scratch; an empty batch is nothing to do."""
        if 0 in self.rows[:2]:
            return
        room = buffer(scratch, self.dtype)
        self.problem.scratch = room.data_ptr()
        getattr(library(self.dtype), entry)(ctypes.byref(self.problem))


def _check_form(form: Form, members: int, interval: int) -> None:
    require_positive(hidden=form.hidden, heads=form.heads, slots=form.slots, width=form.width, blocks=form.blocks)
    require_positive(interval=interval, members=members + 1)
    option = dict(zip(OPTIONS, form.options, strict=True))
    known = option["controller"] in range(len(CONTROLLERS)) and {"weight_ih", "weight_hh", "interface"} <= {
        *form.weights
    }
    normed = option["controller"] != 1 or {"gain", "shift"} <= {*form.weights}
    normed = normed and (not option["output_norm"] or {"norm_gain", "norm_shift"} <= {*form.weights})
    if not known or not normed or (form.blocks > 1 and not option["gated"]):
        raise OptionError(f"the form {tuple(form)} is none of a cell: make it with form_of(cell).")


def threads_for(rows: int) -> int:
    """Rows are shared out among threads; one row is one thread's."""
    return max(1, min(torch.get_num_threads(), rows))
