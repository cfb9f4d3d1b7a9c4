"""Distributed associative memory: K independent memories, their reads combined by an attentive gate.

Shapes: B batch, K blocks, R read vectors, W width of a read vector, S interface of a block.
Source: "Distributed associative memory network with memory refreshing loss", eqs 3-4 and appendix G.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from torchmann.core.errors import OptionError, require_positive
from torchmann.core.noise import map_draws
from torchmann.core.recorder import Recorder, record
from torchmann.core.state import map_leaves, named_leaves, state
from torchmann.memories.memory import Half, Memory


@state
class DistributedState(NamedTuple):
    """The states of the blocks in one: every leaf is ``[B, K, ...]``."""

    blocks: Any


_Result = tuple[Tensor, DistributedState]


class Block(nn.Module):
    """One memory whose parameters and buffers are those of K memories, stacked ``[K, ...]``; run by `vmap`."""

    def __init__(self, members: list[Memory]) -> None:
        super().__init__()
        self.memory, self.blocks = members[0], len(members)
        for path, module in self.memory.named_modules():
            twins = [member.get_submodule(path) for member in members]
            for name, _ in list(module.named_parameters(recurse=False)):
                stacked = torch.stack([getattr(twin, name).detach() for twin in twins])
                setattr(module, name, nn.Parameter(stacked))
            for name, _ in list(module.named_buffers(recurse=False)):
                setattr(module, name, torch.stack([getattr(twin, name) for twin in twins]))

    def forward(self, method: str, *arguments: Any) -> Any:
        """A method of the memory; only meaningful with the parameters of one block in place of the stacked ones.

        Of ``only_write`` the state alone: vmap takes no None for the reads that there are not.
        """
        result = getattr(self.memory, method)(*arguments)
        return result[1] if method == "only_write" else result

    def each(self, method: str, *arguments: Any) -> Any:
        """The method run by every block on its part (axis 1) of the arguments; results are stacked along axis 1."""

        def run(tensors: dict[str, Tensor], *parts: Any) -> Any:
            return functional_call(self, tensors, (method, *parts))

        if torch.compiler.is_exporting():
            # torch 2.13 cannot export sort, cat and scatter under vmap with a dynamic batch
            return self.one_by_one(method, *arguments)
        axes = tuple(map_leaves(lambda _: 1, argument) for argument in arguments)
        return vmap(run, in_dims=(0, *axes), out_dims=1)(self._stacked(), *arguments)

    def one_by_one(self, method: str, *arguments: Any) -> Any:
        """The same without vmap."""
        results = []
        for block in range(self.blocks):
            parts = [map_leaves(lambda leaf, block=block: leaf[:, block], argument) for argument in arguments]
            mine = {name: tensor[block] for name, tensor in self._stacked().items()}
            results.append(functional_call(self, mine, (method, *parts)))
        return map_leaves(lambda *leaves: torch.stack(leaves, dim=1), *results)

    def for_batch(self, method: str, batch_size: int) -> Any:
        """A method that takes the batch size alone, run by every block; results are stacked along axis 1."""
        results = []
        for block in range(self.blocks):  # not by vmap, which needs a tensor to go by: a memory may have none
            mine = {name: tensor[block] for name, tensor in self._stacked().items()}
            results.append(functional_call(self, mine, (method, batch_size)))
        return map_leaves(lambda *leaves: torch.stack(leaves, dim=1), *results)

    def _stacked(self) -> dict[str, Tensor]:
        return dict(self.named_parameters()) | dict(self.named_buffers())


class Distributed(Memory):
    """K memories of one kind, all written and read at each step; a gate mixes their reads::

        g^i = softmax over the blocks of the R x K gate logits, for each read vector i
        r^i = sum_k g^i_k r^i_k

    Args:
        make_block: makes one block; called K times, so that each has parameters of its own.
        blocks: K.
        gated_retention: blocks keep their read weightings multiplied by the gate, so that what a block frees depends
            on the gate too (released DAM code).

    Raises:
        OptionError: `blocks` below one, blocks that differ in kind or size, or `gated_retention` for blocks that keep
            no read weightings.
    """

    references = ("dam",)

    def __init__(self, make_block: Callable[[], Memory], blocks: int, *, gated_retention: bool = False) -> None:
        super().__init__()
        require_positive(blocks=blocks)
        members = [make_block() for _ in range(blocks)]
        if len({_form(member) for member in members}) > 1:
            raise OptionError("make_block must make blocks of one kind and size: they run as one, batched.")
        if gated_retention and not hasattr(members[0].initial_state(1), "read_weights"):
            raise OptionError(
                f"gated_retention needs blocks with read weightings; {type(members[0]).__name__} has none."
            )
        self.blocks, self.gated_retention = blocks, gated_retention
        self.reads, self.read_size = members[0].reads, members[0].read_size
        self.block_interface_size = members[0].interface_size
        self.interface_size = blocks * (self.block_interface_size + self.reads)
        self.block = Block(members)

    def initial_state(self, batch_size: int) -> DistributedState:
        """Each block's own."""
        return DistributedState(self.block.for_batch("initial_state", batch_size))

    def initial_reads(self, batch_size: int) -> Tensor:
        """The mean of the blocks' own."""
        return self.block.for_batch("initial_reads", batch_size).mean(1)

    def parts(self, interface: Tensor) -> tuple[Tensor, Tensor]:
        """The interfaces of the blocks ``[B, K, S]`` and the attentive gate ``[B, K, R]``."""
        sizes = [self.blocks * self.block_interface_size, self.blocks * self.reads]
        blocks, logits = interface.split(sizes, dim=-1)
        gate_BKR = logits.unflatten(-1, (self.blocks, self.reads)).softmax(1)
        return blocks.unflatten(-1, (self.blocks, -1)), gate_BKR

    def columns(self, half: Half) -> Sequence[int]:
        """The blocks' own; reading takes the gate, too, unless it is that of one block, which is always one."""
        size, mine = self.block_interface_size, self.block.memory.columns(half)
        of_blocks = [block * size + column for block in range(self.blocks) for column in mine]
        gate = range(self.blocks * size, self.interface_size)
        return [*of_blocks, *gate] if half == "only_read" and self.blocks > 1 else of_blocks

    def noise_spec(self, batch_size: int) -> Any:
        """Each block's own, ``[B, K, ...]``."""
        spec = self.block.memory.noise_spec(batch_size)
        return map_draws(lambda draw: draw._replace(shape=(batch_size, self.blocks, *draw.shape[1:])), spec)

    def run(self, method: str, interface: Tensor, state: DistributedState, noise: Any) -> _Result:
        """One step of every block and the gated sum of their reads."""
        parts_BKS, gate_BKR = self.parts(interface)
        record(self, "attentive_gate", gate_BKR)
        with Recorder.paused():
            reads, after = self.block.each(method, parts_BKS, state.blocks, noise)
        self._look_inside(after, method, parts_BKS, state.blocks, noise)
        if self.gated_retention:
            after = after._replace(read_weights=after.read_weights * gate_BKR.unsqueeze(-1))
        self._offer(after, method)
        reads_BKRW = reads.unflatten(-1, (self.reads, -1))
        return (gate_BKR.unsqueeze(-1) * reads_BKRW).sum(1).flatten(1), DistributedState(after)

    def forward(self, interface: Tensor, state: DistributedState, noise: Any = None) -> _Result:
        """One step: every block writes and reads."""
        return self.run("forward", interface, state, noise)

    def has_half(self, half: Half) -> bool:
        """The blocks'."""
        return self.block.memory.has_half(half)

    def only_read(self, interface: Tensor, state: DistributedState, noise: Any = None) -> _Result:
        """Every block reads."""
        return self.run("only_read", interface, state, noise)

    def only_write(
        self, interface: Tensor, state: DistributedState, noise: Any = None
    ) -> tuple[None, DistributedState]:
        """Every block writes; the read weightings stay, and the gate has nothing to mix."""
        parts_BKS, _ = self.parts(interface)
        with Recorder.paused():
            after = self.block.each("only_write", parts_BKS, state.blocks, noise)
        self._look_inside(after, "only_write", parts_BKS, state.blocks, noise)
        self._offer(after, "only_write")
        return None, DistributedState(after)

    def _look_inside(self, after: Any, method: str, *arguments: Any) -> None:
        """Record what the blocks do not carry: under vmap no value can be kept, so they run once more, one by one."""
        if not Recorder.listening():
            return
        with Recorder.paused(), Recorder(self.block.memory, keep_graph=True) as inside:
            self.block.one_by_one(method, *arguments)
        carried = {name for name, _ in named_leaves(after)}
        for name in inside.names():
            if name not in carried:
                record(self, name, inside[name].transpose(0, 1))  # recorded block after block

    def _offer(self, after: Any, method: str) -> None:
        """Record what the blocks carry, after half a step what that half made."""
        for name, leaf in named_leaves(after):
            half = "only_read" if name.split(".")[-1].startswith("read") else "only_write"
            if method in ("forward", half):
                record(self, name, leaf)


def _form(memory: Memory) -> Hashable:
    """What blocks must have in common to run as one."""
    shapes = tuple(tuple(leaf.shape) for _, leaf in named_leaves(memory.initial_state(1)))
    return type(memory), memory.reads, memory.read_size, memory.interface_size, shapes
