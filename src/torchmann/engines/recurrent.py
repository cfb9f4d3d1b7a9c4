"""Recurrent: a cell over time, called like `torch.nn.LSTM`.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.noise import draw_noise, map_draws
from torchmann.core.references import references_of
from torchmann.core.state import Tree, map_leaves
from torchmann.engines.arguments import (
    check_input,
    check_lengths,
    check_noise,
    check_reset,
    check_state,
    resolve_schedule,
)
from torchmann.engines.engine import Engine, check_engine, choose_engine


class Recurrent(nn.Module):
    """Runs a cell over a sequence: ``output, state = model(input, state)``.

    Args:
        cell: the step.
        batch_first: input and output are ``[B, T, ...]`` instead of ``[T, B, ...]``; the state is not concerned.
        engine: how the cell is unrolled, by name or itself; ``"auto"`` chooses, ``"checkpointed:compiled"`` is one
            around another.

    Raises:
        OptionError: unknown engine.
    """

    def __init__(self, cell: Cell, *, batch_first: bool = False, engine: str | Engine = "auto") -> None:
        super().__init__()
        self.cell = cell
        self.batch_first = batch_first
        self.engine = check_engine(engine)

    @property
    def input_size(self) -> int:
        """I, features per input step."""
        return self.cell.input_size

    @property
    def output_size(self) -> int:
        """O, features per output step."""
        return self.cell.output_size

    @property
    def citation(self) -> str:
        """The references of the parts that this model really uses, one a line."""
        return "\n".join(references_of(self))

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""
        return self.cell.initial_state(batch_size)

    def forward(
        self,
        input: Tensor | PackedSequence,
        state: Any = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        schedule: Any = None,
        start: int = 0,
        noise: Tree = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, Any]:
        """Run over a sequence.

        Args:
            input: ``[T, B, I]``, ``[B, T, I]`` with `batch_first`, unbatched ``[T, I]``, or a `PackedSequence`.
            state: what an earlier call returned; None starts anew. Unbatched for unbatched input.
            lengths: ``[B]`` steps of each row; a row's state is frozen after its end, its output there is zero.
            reset: boolean, the input's layout without the feature axis; True starts that row anew before that step.
            schedule: a writing policy or a step kind for each step, in place of the cell's own policy.
            start: absolute number of the first step, for a chunk of a longer sequence.
            noise: the noise of every step, ``[T, B, ...]`` in each leaf, to replay a run.
            generator: source of the noise that a stochastic cell needs in training mode.

        Returns:
            output: as the input, with O features.
            state: after the last step, of each row.

        Raises:
            ShapeError: an argument with a wrong shape or dtype.
            OptionError: a length outside 1..T, a bad schedule, or arguments that exclude each other.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None or reset is not None:
                raise OptionError("a PackedSequence has its own lengths and takes no lengths= and no reset=.")
            return self._packed(input, state, schedule=schedule, start=start, noise=noise, generator=generator)
        check_input(self.cell, input, self.batch_first)
        if reset is not None:
            check_reset(reset, tuple(input.shape[:-1]))
        batched, swap = input.dim() == 3, self.batch_first and input.dim() == 3
        if not batched:
            if lengths is not None:
                raise OptionError("lengths= needs batched input; cut an unbatched input at its end instead.")
            input, reset = input.unsqueeze(1), None if reset is None else reset.unsqueeze(1)
            state = map_leaves(lambda leaf: leaf.unsqueeze(0), state)
        if swap:
            input, reset = input.transpose(0, 1), None if reset is None else reset.transpose(0, 1)
        steps, batch_size = input.shape[:2]
        lengths_B = None if lengths is None else check_lengths(lengths, batch_size, steps)
        if lengths_B is not None and batch_size and int(lengths_B.min()) == steps:
            lengths_B = None  # all rows run to the end: no mask has to come to the device
        if state is None:
            state = self.cell.initial_state(batch_size)
        else:
            check_state(state, self.cell.initial_state(batch_size))

        output, state = choose_engine(self.engine)(
            self.cell,
            input,
            state,
            schedule=resolve_schedule(self.cell, schedule, steps, start),
            lengths_B=lengths_B,
            reset_TB=reset,
            noise=self._noise(noise, input, generator),
        )
        if not batched:
            return output.squeeze(1), map_leaves(lambda leaf: leaf.squeeze(0), state)
        return (output.transpose(0, 1) if swap else output), state

    def _noise(self, noise: Tree, input_TBI: Tensor, generator: torch.Generator | None) -> Tree:
        """The given noise if it fits; else freshly drawn noise in training mode, none in evaluation mode."""
        steps, batch_size = input_TBI.shape[:2]
        spec = self.cell.noise_spec(batch_size)
        if noise is not None:
            check_noise(noise, map_draws(lambda draw: torch.empty(steps, *draw.shape, device="meta"), spec))
            return noise
        if spec is None or not self.training:
            return None
        return draw_noise(spec, steps, generator=generator, like=input_TBI)

    def _packed(self, packed: PackedSequence, state: Any, **options: Any) -> tuple[PackedSequence, Any]:
        """Pad, run with lengths, pack again in the same order; the state is in the caller's order of rows."""
        padded_TBI, lengths_B = pad_packed_sequence(packed)
        if self.batch_first:
            padded_TBI = padded_TBI.transpose(0, 1)
        output, state = self(padded_TBI, state, lengths=lengths_B, **options)
        output_TBO = output.transpose(0, 1) if self.batch_first else output
        order = packed.sorted_indices
        if order is not None:
            output_TBO, lengths_B = output_TBO.index_select(1, order), lengths_B.index_select(0, order.cpu())
        data = pack_padded_sequence(output_TBO, lengths_B).data
        return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state

    def step(
        self,
        x: Tensor,
        state: Any = None,
        *,
        start: int = 0,
        noise: Tree = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Any]:
        """One step: ``x`` is ``[B, I]`` (or ``[I]``), the output ``[B, O]`` (or ``[O]``).

        Args:
            x: the input of this step.
            state: what the step before returned; None starts anew.
            start: the absolute number of this step, which a writing policy goes by.
            noise: this step's noise, ``[1, B, ...]`` in each leaf.
            generator: source of the noise in training mode.
        """
        time_axis = 1 if self.batch_first and x.dim() == 2 else 0
        output, state = self(x.unsqueeze(time_axis), state, start=start, noise=noise, generator=generator)
        return output.squeeze(time_axis), state

    def extra_repr(self) -> str:
        return f"batch_first={self.batch_first}, engine={self.engine!r}"
