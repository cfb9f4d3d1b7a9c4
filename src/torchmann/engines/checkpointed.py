"""The checkpointed engine: long sequences in little memory, for about one more forward pass of time.

Only the states between chunks are kept; a chunk is computed again when the backward pass comes to it. With chunks of
about sqrt(T) steps, memory grows with sqrt(T). `torch.utils.checkpoint` would drop the tensors of a chunk too, but not
its graph, which is larger than they are where the tensors are small.

Shapes: T time, C steps of a chunk, B batch, I input, O output.
Source: Chen et al. 2016, "Training deep nets with sublinear memory cost".
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from torchmann.core.cell import Cell
from torchmann.core.errors import require_positive
from torchmann.core.precision import Autocast
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree, map_leaves
from torchmann.engines import eager
from torchmann.engines.flat import Layout, distinct, filled, leaves_of


class Checkpointed:
    """An engine around another one, which it runs chunk by chunk: ``Recurrent(cell, engine=Checkpointed(chunk=50))``.

    Results and first derivatives are those of the inner engine over the whole sequence; second derivatives, too, if it
    has them. Noise is drawn before, for all steps, so a chunk that is computed again is the same. While something is
    recorded, or no gradient is asked for, the inner engine runs over the whole.

    Args:
        inner: the engine that runs a chunk.
        chunk: steps of a chunk; None: about the square root of T.

    Raises:
        OptionError: a chunk below one step.
    """

    def __init__(self, inner: Any = eager.unroll, chunk: int | None = None) -> None:
        if chunk is not None:
            require_positive(chunk=chunk)
        self.inner, self.chunk = inner, chunk

    def __call__(
        self,
        cell: Cell,
        inputs_TBI: Tensor,
        state: Any,
        *,
        schedule: Sequence[Hashable],
        lengths_B: Tensor | None = None,
        reset_TB: Tensor | None = None,
        noise: Tree = None,
    ) -> tuple[Tensor, Any]:
        """Run `cell` over the time axis, with the arguments and results of `eager.unroll`."""
        options: dict[str, Any] = {"schedule": schedule, "lengths_B": lengths_B, "reset_TB": reset_TB}
        if Recorder.listening() or not torch.is_grad_enabled():
            return self.inner(cell, inputs_TBI, state, noise=noise, **options)
        parameters, buffers = list(cell.parameters()), list(cell.buffers())
        chunk = self.chunk or math.isqrt(len(schedule) - 1) + 1
        outputs = []
        for start, inputs_CBI in zip(range(0, len(schedule), chunk), inputs_TBI.split(chunk), strict=True):
            stop = start + len(inputs_CBI)
            options = {
                "schedule": schedule[start:stop],
                "lengths_B": None if lengths_B is None else (lengths_B - start).clamp(0, stop - start),
                "reset_TB": None if reset_TB is None else reset_TB[start:stop],
            }
            drawn = map_leaves(lambda leaf, part=slice(start, stop): leaf[part], noise)
            inputs, leaves = (inputs_CBI, *leaves_of(drawn)), leaves_of(state)
            layout = Layout(len(parameters), len(buffers), len(inputs), len(leaves))
            run = _Chunk(self.inner, cell, layout, state, noise, options)
            output_CBO, *after = _Again.apply(run, *parameters, *buffers, *inputs, *leaves)
            state = filled(state, after)
            outputs.append(output_CBO)
        return torch.cat(outputs), state

    def __repr__(self) -> str:
        return f"Checkpointed({getattr(self.inner, '__module__', self.inner)}, chunk={self.chunk})"


class _Chunk(nn.Module):
    """Some steps of a run as a function of tensors.

    Args:
        inner: the engine.
        cell: what it runs.
        layout: of the tensors.
        state: for its structure.
        noise: for its structure.
        options: what else the engine takes.
    """

    def __init__(
        self, inner: Any, cell: Cell, layout: Layout, state: Any, noise: Tree, options: dict[str, Any]
    ) -> None:
        super().__init__()
        self.inner, self.cell, self.layout, self.options = inner, cell, layout, options
        self.state, self.noise = (map_leaves(lambda _: "a leaf", tree) for tree in (state, noise))
        self.autocast = Autocast.now(next((tensor.device.type for tensor in cell.parameters()), "cpu"))
        named = (self.named_parameters(), self.named_buffers())
        self.names = [name for tensors in named for name, _ in tensors]

    def forward(self, inputs_CBI: Tensor, state: Any, noise: Tree) -> tuple[Tensor, Any]:
        return self.inner(self.cell, inputs_CBI, state, noise=noise, **self.options)

    def results(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """``[*parameters, *buffers, inputs, *noise, *leaves] -> output, *leaves after``."""
        parameters, buffers, (inputs_CBI, *drawn), leaves, _ = self.layout.split(tensors)
        values = dict(zip(self.names, [*parameters, *buffers], strict=True))
        arguments = (inputs_CBI, filled(self.state, leaves), filled(self.noise, drawn))
        with self.autocast.again():
            output_CBO, after = functional_call(self, values, arguments)
        return output_CBO, *leaves_of(after)


class _Again(torch.autograd.Function):
    """The results of a chunk, which are computed again for their gradient."""

    @staticmethod
    def forward(ctx: Any, chunk: _Chunk, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.chunk = chunk
        ctx.save_for_backward(*tensors)
        output_CBO, *after = chunk.results(tensors)
        leaves = distinct(after)
        ctx.mark_non_differentiable(*(leaf for leaf in leaves if not leaf.is_floating_point()))
        return output_CBO, *leaves

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        twice = torch.is_grad_enabled()
        with torch.enable_grad():
            # views: what depends on one of them shall not depend on another; a second derivative goes through them
            tensors = [
                value.view_as(value) if twice else value.detach().requires_grad_(value.requires_grad)
                for value in ctx.saved_tensors
            ]
            results = ctx.chunk.results(tensors)
            reached = [pair for pair in zip(results, gradients, strict=True) if pair[0].requires_grad]
            sources = [value for value, needed in zip(tensors, ctx.needs_input_grad[1:], strict=True) if needed]
            found: Any = [None] * len(sources)
            if reached:
                ends, starts = zip(*reached, strict=True)
                found = torch.autograd.grad(ends, sources, starts, create_graph=twice, allow_unused=True)
        each = iter(found)
        return None, *(next(each) if needed else None for needed in ctx.needs_input_grad[1:])
