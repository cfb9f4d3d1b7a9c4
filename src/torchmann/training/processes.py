"""The processes of one run: each has its share of a batch's rows, and all take the same step (data parallelism).

``torchrun --nproc_per_node 2 -m torchmann train ... --batch_size 8`` trains as one process with ``--batch_size 16``:
every process draws the whole batch, which costs little, keeps its own rows, and divides its loss by the divisor of the
whole batch, so that the sum of all gradients is the gradient of the whole batch, whatever the loss is normalised by.
Noise is drawn for the whole batch too, so that the one generator's state serves every process.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from torchmann.core.state import Tree, map_leaves


class Processes:
    """This process among those of its run; an ordinary run is its only process.

    Args:
        rank: number of this process, from 0; process 0 alone writes files and shows progress.
        count: how many there are; with more than one, ``torch.distributed`` must be initialised.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def of_torchrun(cls) -> Processes:
        """The processes that ``torchrun`` has started, connected; the only process where it was not torchrun."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not dist.is_initialized():
            # Gradients travel between the devices that they are on, decisions between the CPUs. At the end the others
            # wait for the first one's evaluation, which may take longer than the half hour that is usual.
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=timedelta(days=1))
            atexit.register(dist.destroy_process_group)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """This is the process that writes."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's part of `rows` rows; the parts are equal where `rows` is a multiple of their number."""
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def add_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace each gradient by the sum over the processes: one message, as many models here are small."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.count == 1 or not gradients:
            return
        together = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(together)
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def add(self, numbers: Tensor) -> Tensor:
        """The sum of `numbers` over the processes."""
        if self.count > 1:
            dist.all_reduce(numbers)
        return numbers

    def agree(self, *facts: bool) -> list[bool]:
        """For each of `facts`, whether it holds in any process: so all processes decide alike."""
        if self.count == 1:
            return list(facts)
        held = torch.tensor(facts, dtype=torch.int32)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        return [bool(value) for value in held.tolist()]

    def gather_rows(self, state: Tree) -> Tree:
        """A state's rows of all processes, in order; the parts must be equal."""

        def gather(leaf: Tensor) -> Tensor:
            parts = [torch.empty_like(leaf) for _ in range(self.count)]
            dist.all_gather(parts, leaf.contiguous())
            return torch.cat(parts)

        return state if self.count == 1 else map_leaves(gather, state)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            dist.barrier()
