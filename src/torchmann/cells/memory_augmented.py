"""A controller with an external memory: the composition that every memory-augmented network is.

Shapes: B batch, I input, O output, H controller output, S interface.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.cells.cached_writing import CacheAttention
from torchmann.core.cell import DENSE, Cell, Controller, Step
from torchmann.core.errors import OptionError, unknown_name
from torchmann.core.noise import Draw
from torchmann.core.precision import without_autocast
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

MemoryUse = Callable[[Tensor, Any], tuple[Tensor | None, Any]]
"""What a step does with the memory: ``(interface, state) -> (reads or None, state)``."""


@state
class MemoryAugmentedState(NamedTuple):
    """The controller's state, the memory's state, what was read last, and the cache of cached writing."""

    controller: Any
    memory: Any
    reads: Tensor  # [B, read_size]
    cache: Any = ()  # CacheState, or empty


class MemoryAugmentedNoise(NamedTuple):
    """The controller's noise, and which of its outputs the bypass to the readout keeps (1) or drops (0)."""

    controller: Any
    kept: Any  # [B, H]


class LinearInterface(nn.Module):
    """One affine map from a feature of the controller to all that the memory takes.

    Args:
        controller: whose features are mapped.
        memory: whose `interface_size` is filled.
        source: ``"output"`` of the controller, or one of its features by name (``"c"``, ``"0.h"``, ...).
        bias: make the map affine.
        clip: limit the interface to ±clip; None: no limit.
    """

    def __init__(
        self,
        controller: Controller,
        memory: Memory,
        *,
        source: str = "output",
        bias: bool = True,
        clip: float | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = {"output": controller.output_size, **controller.feature_sizes}
        if source not in sizes:
            raise unknown_name("source of the interface", source, sizes)
        self.source, self.clip = source, clip
        self.linear = xavier_linear(sizes[source], memory.interface_size, bias, device, dtype)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The interface ``[B, S]``."""
        return _clipped(self.linear(features[self.source]), self.clip)


class Readout(nn.Module):
    """What makes the output: ``readout(hidden [B, H], reads [B, read_size]) -> [B, O]``.

    Attributes:
        output_size: O.
    """

    output_size: int


class LinearReadout(Readout):
    """``y = W [h ; reads] + b``: the output sees the controller and what it just read; optionally through ReLU layers.

    Args:
        hidden_size: H.
        read_size: width of all reads; 0 hides them from the output.
        output_size: O.
        layers: widths of ReLU layers before the last map.
        bias: add b.
        clip: limit the output to ±clip; None: no limit.
    """

    def __init__(
        self,
        hidden_size: int,
        read_size: int,
        output_size: int,
        *,
        layers: Sequence[int] = (),
        bias: bool = True,
        clip: float | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.output_size, self.clip = output_size, clip
        self.sees_reads = read_size > 0
        widths = [hidden_size + read_size, *layers]
        self.layers = nn.ModuleList(xavier_linear(i, o, True, device, dtype) for i, o in pairwise(widths))
        self.linear = xavier_linear(widths[-1], output_size, bias, device, dtype)

    def forward(self, hidden: Tensor, reads: Tensor) -> Tensor:
        """The output ``[B, O]``."""
        seen = torch.cat([hidden, reads], dim=-1) if self.sees_reads else hidden
        for layer in self.layers:
            seen = layer(seen).relu()
        return _clipped(self.linear(seen), self.clip)


def xavier_linear(inputs: int, outputs: int, bias: bool, device: Any, dtype: torch.dtype | None) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and a bias of zero."""
    linear = nn.Linear(inputs, outputs, bias=bias, device=device, dtype=dtype)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _clipped(value: Tensor, clip: float | None) -> Tensor:
    return value if clip is None else value.clamp(-clip, clip)


class MemoryAugmentedCell(Cell):
    """A controller that reads from and writes to a memory at each step::

        h, controller state = controller([x ; reads of the step before])
        reads, memory state = memory(interface(h))
        y = readout(h, reads)

    Args:
        controller: a `Controller`; it takes ``input_size + memory.read_size`` features (with feedback).
        memory: any `Memory`.
        writing: at which steps the memory is used: a policy or its text form (`policy_from`); None is every step.
        readout: what makes the output; None is a `LinearReadout` to `output_size`.
        interface: module ``features -> [B, S]``, features being a mapping with the controller's ``"output"`` and
            its `Controller.features`; None is a `LinearInterface`.
        feedback: show the reads to the controller at the next step.
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
        writing: WritingPolicy | str | None = None,
        readout: Readout | None = None,
        interface: nn.Module | None = None,
        feedback: bool = True,
        bypass_dropout: float = 0.0,
        output_size: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
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
        self.interface = interface if interface is not None else LinearInterface(controller, memory, **at)
        if readout is None:
            outputs = controller.output_size if output_size is None else output_size
            readout = LinearReadout(controller.output_size, memory.read_size, outputs, **at)
        elif output_size not in (None, readout.output_size):
            raise OptionError(f"output_size is {output_size}, but readout gives {readout.output_size}; pass one.")
        self.readout = readout
        self.attention: Any = None
        cached = cached_writing(self.writing)
        if cached is not None:
            if not controller.recurrent:
                raise OptionError(
                    "cached writing replaces the controller's last hidden vector, which a feed-forward (top) layer "
                    "does not look at: take a recurrent controller, or another writing policy."
                )
            sizes = (cached.interval, controller.output_size, memory.read_size, cached.attention_size)
            self.attention = CacheAttention(*sizes, **at)
        self.step_of_kind(held_kind(self.writing))  # refused here rather than at the first such step
        self.input_size = controller.input_size - fed_back
        self.output_size = readout.output_size

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
        """The controller's, and the mask of the bypass if there is dropout."""
        controller, kept = self.controller.noise_spec(batch_size), None
        if self.bypass_dropout:
            kept = Draw((batch_size, self.controller.output_size), "bernoulli", 1 - self.bypass_dropout)
        return None if controller is None and kept is None else MemoryAugmentedNoise(controller, kept)

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
            HOLD_WRITE: partial(self.step, use=self.memory.only_read),
            HOLD_READ: partial(self.step, use=self.memory.only_write),
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

    def forward(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A complete step: control, write, read."""
        return self.step(x, state, noise, use=self.memory)

    def step(
        self, x: Tensor, state: MemoryAugmentedState, noise: Any = None, *, use: MemoryUse
    ) -> tuple[Tensor, MemoryAugmentedState]:
        """A step of the controller and of what `use` does with the memory."""
        h, controller = self.control(x, state, noise)
        interface_BS = self.interface({"output": h, **self.controller.features(controller)})
        with without_autocast(x.device.type):
            reads, memory = use(interface_BS.type_as(state.reads), state.memory)
        reads = state.reads if reads is None else reads
        record(self, "reads", reads)
        new = state._replace(controller=controller, memory=memory, reads=reads)
        return self.readout(self.bypass(h, noise), reads), new

    def hold(self, x: Tensor, state: MemoryAugmentedState, noise: Any = None) -> tuple[Tensor, MemoryAugmentedState]:
        """A step of the controller alone: the memory is not touched, the last reads stay."""
        h, controller = self.control(x, state, noise)
        record(self, "reads", state.reads)
        return self.readout(self.bypass(h, noise), state.reads), state._replace(controller=controller)

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
        """The controller's step on the input and, with feedback, the reads of the step before."""
        seen = torch.cat([x, state.reads.type_as(x)], dim=-1) if self.feedback else x
        return self.controller(seen, state.controller, None if noise is None else noise.controller)

    def bypass(self, h: Tensor, noise: Any) -> Tensor:
        """What the readout sees of the controller's output: with dropout in training, all of it in evaluation."""
        if noise is None or noise.kept is None:
            return h
        return h * noise.kept / (1 - self.bypass_dropout)

    def penalties(self, state: MemoryAugmentedState) -> dict[str, Tensor]:
        """The controller's."""
        return self.controller.penalties(state.controller)
