"""One call of a kernel: every tensor is checked before its address is taken.

Shapes: T time, B batch, I input.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, ShapeError, require_positive
from torchmann.engines.kernels.kernel import Form, Kernel, Shapes
from torchmann.engines.kernels.library import library, problem_type, sizes_of
from torchmann.engines.kernels.pool import buffer


@lru_cache(maxsize=256)
def leaf_shapes(kernel: Kernel, form: Form, lead: tuple[int, ...]) -> Shapes:
    """The shapes of the state's leaves by name, after the leading axes ``[members, B]``."""
    return {name: (*lead, *shape) for name, shape in kernel.leaf_shapes(form).items()}


@lru_cache(maxsize=256)
def output_shapes(kernel: Kernel, form: Form, lead: tuple[int, ...]) -> Shapes:
    """The shapes of the outputs by name, after the leading axes ``[members, T, B]``."""
    return {name: (*lead, *shape) for name, shape in kernel.output_shapes(form).items()}


@lru_cache(maxsize=256)
def weight_shapes(kernel: Kernel, form: Form, input_size: int, lead: tuple[int, ...]) -> Shapes:
    """The shapes of the weights that there are by name, after a leading axis ``[members]``."""
    shapes = kernel.weight_shapes(form, input_size)
    if not shapes.keys() >= {*form.weights}:
        raise OptionError(f"the form {tuple(form)} is none of a cell: it names weights that the cell has not.")
    return {name: (*lead, *shapes[name]) for name in form.weights}


@lru_cache(maxsize=256)
def _check(kernel: Kernel, form: Form) -> None:
    """Refuse a form that is none of a cell."""
    if len(form.numbers) != len(kernel.sizes) + len(kernel.options) or len(form.limits) != len(kernel.limits):
        raise OptionError(f"the form {tuple(form)} is none of the kernel {kernel.name!r}.")
    require_positive(**dict(zip(kernel.sizes, form.numbers, strict=False)))
    kernel.check(form)


class Call:
    """One call of a kernel: its problem with the pointers filled in, and the tensors that they point into."""

    def __init__(
        self,
        kernel: Kernel,
        x: Tensor,
        weights: Sequence[Tensor],
        noise: Sequence[Tensor],
        state: Sequence[Tensor],
        fresh: Sequence[Tensor],
        steps: tuple[Tensor | None, Tensor | None, Tensor | None],
        form: Form,
        members: int,
        keep: bool,
    ) -> None:
        if x.dtype not in (torch.float32, torch.float64):
            raise ShapeError(f"input must be float32 or float64 for the fused kernel, got {x.dtype}: convert it.")
        lead = (members,) if members else ()
        if x.dim() != 3 + len(lead):
            raise ShapeError(f"input must be [T, B, I] for the fused kernel, got shape {tuple(x.shape)}.")
        require_positive(members=members + 1)
        _check(kernel, form)
        self.kernel, self.form, self.dtype, self.lead = kernel, form, x.dtype, lead
        self.held: list[Tensor] = []
        self.rows = T, B, inputs = x.shape[-3:]
        self.leaf_shapes = leaf_shapes(kernel, form, (*lead, B))
        self.output_shapes = output_shapes(kernel, form, (*lead, T, B))
        self.problem: Any = problem_type(kernel)(
            members or 1, T, B, inputs, *form.numbers, keep, threads_for((members or 1) * B), *form.limits
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
        shapes = weight_shapes(kernel, form, inputs, lead)
        for name, tensor in zip(form.weights, weights, strict=True):
            self.problem.weight[kernel.weights.index(name)] = self.pointer(name, tensor, shapes[name])
        shapes = kernel.noise_shapes(form)
        for name, tensor in zip(form.noise, noise, strict=True):
            address = self.pointer(f"noise {name}", tensor, (*lead, T, B, *shapes[name]))
            self.problem.noise[kernel.noise.index(name)] = address
        self.leaf_pointers(self.problem.state, state)
        if fresh:
            self.leaf_pointers(self.problem.fresh, fresh)
        self.sizes = sizes_of(kernel, self.problem, self.dtype)

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
        for (name, shape), leaf in zip(self.leaf_shapes.items(), leaves, strict=True):
            if leaf is not None:
                place = self.kernel.leaves.index(name)
                pointers[place] = self.pointer(f"state leaf {name}", leaf, shape)

    def output_pointers(self, pointers: Any, outputs: Sequence[Tensor | None]) -> None:
        """Fill in the outputs or their gradients; None stays null."""
        for place, ((name, shape), output) in enumerate(zip(self.output_shapes.items(), outputs, strict=True)):
            if output is not None:
                pointers[place] = self.pointer(name, output, shape)

    def run(self, entry: str, scratch: int) -> None:
        """Call an entry point with so much scratch; an empty batch is nothing to do."""
        if 0 in self.rows[:2]:
            return
        room = buffer(scratch, self.dtype)
        self.problem.scratch = room.data_ptr()
        getattr(library(self.kernel, self.dtype), entry)(ctypes.byref(self.problem))


def threads_for(rows: int) -> int:
    """Rows are shared out among threads; one row is one thread's."""
    return max(1, min(torch.get_num_threads(), rows))
