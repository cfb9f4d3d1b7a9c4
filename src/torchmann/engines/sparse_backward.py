"""The backward pass of the sparse engine: each step again from the journal, the last one first.

Shapes: T time, B batch, O output, N slots, W width, P slots that a step touches, G slots that any step touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import torch
from torch import Tensor, nn
from torch.func import functional_call

from torchmann.cells.memory_cell import MemoryCell
from torchmann.core.state import where_rows
from torchmann.engines.flat import filled, leaves_of
from torchmann.engines.sparse_plan import Plan
from torchmann.engines.sparse_step import JournalRows, first_places, on_rows

Gradients = tuple[Tensor, ...]


class _Backwards(nn.Module):
    """All steps of a run from its end to its beginning, as a module whose parameters can be replaced."""

    def __init__(self, cell: MemoryCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, run: Reverse) -> None:
        for t in reversed(range(len(run.plan.schedule))):
            run.step(t)


class RowGradients:
    """Gradients of the rows of a memory that some step touched; those of all others are not held.

    Args:
        entries: the slots ``[B, P]`` that each step touched.
        d_memory_BNW: gradient of the memory after the last step; None is zero.
        slots: N.
        like: a tensor ``[..., W]`` with their dtype and device.
    """

    def __init__(self, entries: Sequence[Tensor], d_memory_BNW: Tensor | None, slots: int, like: Tensor) -> None:
        batch_B1 = torch.arange(len(entries[0]), device=like.device).unsqueeze(1)
        places = [(batch_B1 * slots + slots_BP).flatten() for slots_BP in entries]
        self.touched_G, numbers = torch.cat(places).unique(return_inverse=True)
        parts = numbers.split([len(place) for place in places])
        self.numbers = [part.view_as(entry) for part, entry in zip(parts, entries, strict=True)]
        self.slots, self.d_memory_BNW = slots, d_memory_BNW
        # one row more, which is and stays zero, for what a step touches and does not change
        self.d_rows_GW = like.new_zeros(len(self.touched_G) + 1, like.shape[-1])
        if d_memory_BNW is not None:
            self.d_rows_GW[:-1] = d_memory_BNW.flatten(0, 1)[self.touched_G]
        self.anew_B = torch.zeros(len(batch_B1), dtype=torch.bool, device=like.device)

    def numbers_of(self, t: int, counts_BP: Tensor) -> Tensor:
        """Which of the rows the step of time t touched, ``[B, P]``; the zero row where `counts_BP` is False."""
        return torch.where(counts_BP, self.numbers[t], len(self.touched_G))

    def restart(self, reset_B: Tensor) -> None:
        """What was before has no part in these rows of the batch."""
        self.d_rows_GW[:-1].masked_fill_(reset_B[self.touched_G // self.slots].unsqueeze(1), 0)
        self.anew_B = self.anew_B | reset_B

    def whole(self) -> Tensor:
        """The gradient of the memory before the first step, ``[B, N, W]``."""
        shape = (len(self.anew_B), self.slots, self.d_rows_GW.shape[-1])
        given = self.d_memory_BNW
        d_memory_BNW = (
            self.d_rows_GW.new_zeros(shape) if given is None else given.clone(memory_format=torch.contiguous_format)
        )
        d_memory_BNW[self.anew_B] = 0
        d_memory_BNW.view(-1, shape[-1])[self.touched_G] = self.d_rows_GW[:-1]
        return d_memory_BNW


class Reverse:
    """A run from its end to its beginning.

    Args:
        plan: of the run.
        saved: parameters, sequences, and for each step the leaves before it and its entry in the journal.
        shapes: of the groups of slots in each entry.
        gradients: of the outputs, the memory, its ages and the leaves after the last step; None is zero.
    """

    def __init__(
        self,
        plan: Plan,
        saved: Sequence[Tensor],
        shapes: Sequence[Sequence[torch.Size]],
        gradients: Sequence[Tensor | None],
    ) -> None:
        parameters, self.sequences, leaves, rest = plan.split(saved)
        kept, size = [*leaves, *rest], len(leaves) + 2
        self.plan, self.shapes = plan, shapes
        self.moments = [kept[start : start + size] for start in range(0, len(kept), size)]
        self.parameters = [value.detach().requires_grad_(value.requires_grad) for value in parameters]
        self.wanted = [sequence.requires_grad for sequence in self.sequences]
        self.rows = JournalRows()
        self.cell = on_rows(plan.cell, plan.memory, self.rows)

        self.floating = [leaf.is_floating_point() for leaf in leaves]
        self.d_output_TBO, d_memory_BNW, _, *d_leaves = gradients
        ends = compress(zip(leaves, d_leaves, strict=True), self.floating)
        self.d_leaves = tuple(torch.zeros_like(leaf) if d_leaf is None else d_leaf for leaf, d_leaf in ends)
        self.d_fresh = tuple(map(torch.zeros_like, self.d_leaves))
        entries = [slots_BP for *_, slots_BP, _ in self.moments]
        self.d_rows = RowGradients(entries, d_memory_BNW, plan.memory.slots, like=self.moments[0][-1])
        self.d_parameters: list[Tensor | None] = [None] * len(parameters)
        self.d_inputs: list[list[Tensor]] = []  # of each step, the last first

    def run(self) -> None:
        """Go back over all steps, with the values that the parameters had."""
        backwards = _Backwards(self.cell)
        names = [name for name, _ in backwards.named_parameters()]
        functional_call(backwards, dict(zip(names, self.parameters, strict=True)), (self,))

    def step(self, t: int) -> None:
        """Go back over the step of time t."""
        slots_BP = self.moments[t][-2]
        place_BP = first_places(slots_BP)
        counts_BP = place_BP == torch.arange(place_BP.shape[1], device=place_BP.device)
        d_y_BO = None if self.d_output_TBO is None else self.d_output_TBO[t]
        d_leaves = self.d_leaves
        running_B, reset_B = self.plan.running(t), self.plan.resets[t]
        if running_B is not None:
            counts_BP = counts_BP & running_B.unsqueeze(1)
            d_y_BO = None if d_y_BO is None else torch.where(running_B.unsqueeze(1), d_y_BO, 0)
            d_leaves, d_frozen = _divided(running_B, d_leaves)
        numbers_BP = self.d_rows.numbers_of(t, counts_BP)
        d_rows_BPW = self.d_rows.d_rows_GW[numbers_BP]
        d_leaves, d_rows_BPW = self.back(t, place_BP, d_y_BO, d_leaves, d_rows_BPW)
        self.d_rows.d_rows_GW[numbers_BP] = d_rows_BPW
        if running_B is not None:
            d_leaves = tuple(map(torch.add, d_leaves, d_frozen))
        if reset_B is not None:
            d_anew, d_leaves = _divided(reset_B, d_leaves)
            self.d_fresh = tuple(map(torch.add, self.d_fresh, d_anew))
            self.d_rows.restart(reset_B)
        self.d_leaves = d_leaves

    def back(
        self, t: int, place_BP: Tensor, d_y_BO: Tensor | None, d_leaves: Gradients, d_rows_BPW: Tensor
    ) -> tuple[Gradients, Tensor]:
        """The step of time t once more, and back: gradients of the leaves and of the rows before it."""
        plan = self.plan
        *before, _, rows_BPW = self.moments[t]
        rows_BPW = rows_BPW.detach().requires_grad_()
        leaves = [leaf.detach().requires_grad_(leaf.is_floating_point()) for leaf in before]
        pairs = zip(self.sequences, self.wanted, strict=True)
        inputs = [sequence[t].detach().requires_grad_(want) for sequence, want in pairs]
        with torch.enable_grad(), plan.again():
            self.rows.open(rows_BPW, place_BP, self.shapes[t])
            step = self.cell.step_of_kind(plan.schedule[t])
            y_BO, after = step(inputs[0], filled(plan.state, leaves), filled(plan.noise, inputs[1:]))
        floating = compress(leaves_of(after), self.floating)
        ends = zip([y_BO, *floating, self.rows.rows_BPW], [d_y_BO, *d_leaves, d_rows_BPW], strict=True)
        reached = [(end, d_end.to(end.dtype)) for end, d_end in ends if end.requires_grad and d_end is not None]
        values, d_values = zip(*reached, strict=True)
        parameters = [value for value in self.parameters if value.requires_grad]
        sources = [rows_BPW, *compress(leaves, self.floating), *compress(inputs, self.wanted)]
        found = torch.autograd.grad(values, [*sources, *parameters], d_values, allow_unused=True)
        given = zip(sources, found[: len(sources)], strict=True)
        d_sources = [torch.zeros_like(source) if d_source is None else d_source for source, d_source in given]
        self.add_up(found[len(sources) :])
        self.d_inputs.append(d_sources[1 + len(d_leaves) :])
        return tuple(d_sources[1 : 1 + len(d_leaves)]), d_sources[0]

    def add_up(self, d_parameters: Sequence[Tensor | None]) -> None:
        """Add what a step gives to the gradients of the parameters that want one."""
        for number, d_parameter in enumerate(d_parameters):
            if d_parameter is not None:
                total = self.d_parameters[number]
                self.d_parameters[number] = d_parameter.clone() if total is None else total.add_(d_parameter)

    def results(self, memory_wanted: bool) -> list[Tensor | None]:
        """The gradients of parameters, sequences, leaves, fresh leaves and the memory."""
        found = iter(self.d_parameters)
        d_parameters = [next(found) if value.requires_grad else None for value in self.parameters]
        steps = iter(zip(*reversed(self.d_inputs), strict=True))
        d_sequences = [torch.stack(next(steps)) if want else None for want in self.wanted]
        d_memory_BNW = self.d_rows.whole() if memory_wanted else None
        d_leaves, d_fresh = self._with_gaps(self.d_leaves), self._with_gaps(self.d_fresh)
        return [*d_parameters, *d_sequences, *d_leaves, *(d_fresh if self.plan.fresh else []), d_memory_BNW]

    def _with_gaps(self, d_leaves: Gradients) -> list[Tensor | None]:
        """The gradients, and None for each leaf that has integers."""
        found = iter(d_leaves)
        return [next(found) if floats else None for floats in self.floating]


def _divided(mask_B: Tensor, gradients: Gradients) -> tuple[Gradients, Gradients]:
    """The gradients where the mask is True, and where it is not; zero elsewhere."""
    zeros = tuple(map(torch.zeros_like, gradients))
    return where_rows(mask_B, gradients, zeros), where_rows(mask_B, zeros, gradients)
