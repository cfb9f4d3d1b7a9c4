"""What all cells with a controller and a memory share: their parts, state and noise, and the kinds of their steps.

Shapes: B batch, H controller output.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.cells.cached_writing import CacheAttention
from torchmann.cells.linear_maps import LinearReadout, Readout
from torchmann.core.cell import DENSE, Cell, Controller, Step
from torchmann.core.errors import OptionError, unknown_name
from torchmann.core.noise import Draw
from torchmann.core.recorder import record
from torchmann.core.state import state
from torchmann.memories.memory import Half, Memory
from torchmann.memories.writing import (
    CACHE,
    CACHED,
    HOLD,
    HOLD_READ,
    HOLD_WRITE,
    WritingPolicy,
    cached_writing,
    held_kind,
    policy_from,
)

_HALVES: dict[Hashable, Half] = {HOLD_WRITE: "only_read", HOLD_READ: "only_write"}


@state
class MemoryAugmentedState(NamedTuple):
    """The controller's state, the memory's state, what was read last, and the cache of cached writing."""

    controller: Any
    memory: Any
    reads: Tensor  # [B, read_size]
    cache: Any = ()  # CacheState, or empty


class MemoryAugmentedNoise(NamedTuple):
    """The noise of the parts, and which outputs of the controller the bypass to the readout keeps (1) or drops (0)."""

    controller: Any = None
    kept: Any = None  # [B, H]
    memory: Any = None


class MemoryCell(Cell):
    """A controller with a memory. In which order a step controls, reads and writes is the subclass's.

    A subclass defines `forward`, a complete step, and its halves `hold_write`, which does not write, and `hold_read`,
    which does not read.

    Args:
        controller: a `Controller`; it takes ``input_size + memory.read_size`` features (with feedback).
        memory: any `Memory`.
        writing: at which steps the memory is used: a policy or its text form (`policy_from`); None is every step.
        readout: what makes the output; None is a `LinearReadout` to `output_size`.
        feedback: show the reads to the controller.
        bypass_dropout: probability with which the readout does not see an output of the controller, in training; the
            way through the memory is not concerned.
        output_size: O of the default readout; None is the controller's output size.

    Raises:
        OptionError: the controller takes too few features for the reads, `output_size` contradicts `readout`, or
            the controller or the memory cannot do what `writing` asks.
    """

    def __init__(
        self,
        controller: Controller,
        memory: Memory,
        *,
        writing: WritingPolicy | str | None,
        readout: Readout | None,
        feedback: bool,
        bypass_dropout: float,
        output_size: int | None,
        device: Any,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        if not isinstance(controller, Controller):
            raise OptionError(
                f"controller must be a torchmann.Controller (a cell that shows its hidden vector), got a "
                f"{type(controller).__name__}; put cells with a memory on top of each other with torchmann.Stacked."
            )
        fed_back = memory.read_size if feedback else 0
        if controller.input_size <= fed_back:
            raise OptionError(
                f"controller takes {controller.input_size} features, but {fed_back} reads are fed back to it: "
                f"build it with input_size + {fed_back} features, or pass feedback=False."
            )
        if not 0 <= bypass_dropout < 1:
            raise OptionError(f"bypass_dropout must be in [0, 1), got {bypass_dropout}.")
        self.controller, self.memory = controller, memory
        self.feedback, self.bypass_dropout = feedback, bypass_dropout
        self.writing = policy_from(writing or "every") if writing is None or isinstance(writing, str) else writing
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        if readout is None:
            outputs = controller.output_size if output_size is None else output_size
            readout = LinearReadout(controller.output_size, memory.read_size, outputs, **at)
        elif output_size not in (None, readout.output_size):
            raise OptionError(f"output_size is {output_size}, but readout gives {readout.output_size}; pass one.")
        self.readout = readout
        self.attention: Any = None
        cached = cached_writing(self.writing)
        if cached is not None:
            if not self.looks_back:
                raise OptionError(
                    "cached writing replaces the controller's last hidden vector, which a feed-forward (top) layer "
                    "does not look at: take a recurrent controller, or another writing policy."
                )
            sizes = (cached.interval, controller.feature_sizes["h"], memory.read_size, cached.attention_size)
            self.attention = CacheAttention(*sizes, **at)
        self.step_of_kind(held_kind(self.writing))  # refused here rather than at the first such step
        self.input_size = controller.input_size - fed_back
        self.output_size = readout.output_size

    @property
    def looks_back(self) -> bool:
        """Whether a step depends on the controller's last hidden vector."""
        return self.controller.recurrent

    @property
    def references(self) -> tuple[str, ...]:
        """Those of the writing policy."""
        return getattr(self.writing, "references", ())

    def initial_state(self, batch_size: int) -> MemoryAugmentedState:
        """The parts' own."""
        return MemoryAugmentedState(
            self.controller.initial_state(batch_size),
            self.memory.initial_state(batch_size),
            self.memory.initial_reads(batch_size),
            () if self.attention is None else self.attention.initial_state(batch_size),
        )

    def noise_spec(self, batch_size: int) -> Any:
        """The parts' own, and the mask of the bypass if there is dropout."""
        kept = None
        if self.bypass_dropout:
            kept = Draw((batch_size, self.controller.output_size), "bernoulli", 1 - self.bypass_dropout)
        spec = MemoryAugmentedNoise(self.controller.noise_spec(batch_size), kept, self.memory.noise_spec(batch_size))
        return spec if any(part is not None for part in spec) else None

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """What the writing policy says."""
        return self.writing.schedule(length, start)

    def step_of_kind(self, kind: Hashable) -> Step:
        """The step of a kind of `torchmann.memories.writing`.

        Raises:
            OptionError: unknown kind, a caching one without `CachedUniform` as the cell's policy, or half a step of a
                memory that has no such half.
        """
        steps: dict[Hashable, Step] = {
            DENSE: self,
            HOLD: self.hold,
            HOLD_WRITE: self.hold_write,
            HOLD_READ: self.hold_read,
        }
        if self.attention is not None:
            steps |= {CACHE: self.cache, CACHED: self.cached}
        elif kind in (CACHE, CACHED):
            raise OptionError("cached writing has parameters: build the cell with writing=CachedUniform(interval).")
        if kind not in steps:
            raise unknown_name("step kind", kind, [str(known) for known in steps])
        half = _HALVES.get(kind)
        if half is not None and not self.memory.has_half(half):
            raise OptionError(f"{type(self.memory).__name__} has no {half}, which {kind!r} needs: use hold='both'.")
        return steps[kind]

    def hold(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A step of the controller alone: the memory is not touched, the last reads stay."""
        h, controller = self.control(x, state, noise)
        record(self, "reads", state.reads)
        return self.readout(self.bypass(h, noise), state.reads), state._replace(controller=controller)

    def hold_write(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that reads and does not write."""
        raise TypeError(f"{type(self).__name__} must define hold_write(x, state, noise).")

    def hold_read(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step that writes and does not read: the last reads stay."""
        raise TypeError(f"{type(self).__name__} must define hold_read(x, state, noise).")

    def cache(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A held step that puts the controller's last hidden vector into the cache."""
        hidden_BH = self.controller.hidden(state.controller)
        return self.hold(x, state._replace(cache=self.attention.append(state.cache, hidden_BH)), noise)

    def cached(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A complete step from the attention over the cache, ``(o_t, h_t) = f(a_t, r_{t-1}, x_t)``; empties it."""
        hidden_BH = self.controller.hidden(state.controller)
        cache = self.attention.append(state.cache, hidden_BH)
        mixed_BH = self.attention(cache, hidden_BH, state.reads)
        controller = self.controller.with_hidden(state.controller, mixed_BH)
        return self(x, state._replace(controller=controller, cache=self.attention.clear(cache)), noise)

    def control(self, x: Tensor, state: MemoryAugmentedState, noise: Any) -> tuple[Tensor, Any]:
        """The controller's step on the input and, with feedback, the reads that the state holds."""
        seen = torch.cat([x, state.reads.type_as(x)], dim=-1) if self.feedback else x
        h, controller = self.controller(seen, state.controller, None if noise is None else noise.controller)
        record(self, "controller_output", h)
        return h, controller

    def bypass(self, h: Tensor, noise: Any) -> Tensor:
        """What the readout sees of the controller's output: with dropout in training, all of it in evaluation."""
        if noise is None or noise.kept is None:
            return h
        return h * noise.kept / (1 - self.bypass_dropout)

    def penalties(self, state: MemoryAugmentedState) -> dict[str, Tensor]:
        """The controller's."""
        return self.controller.penalties(state.controller)
