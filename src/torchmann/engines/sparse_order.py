"""Which slots were accessed longest ago, at a cost for a step that does not depend on how many slots there are.

Shapes: N slots.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Order = Sequence[int] | NDArray[np.int64]


class Front:
    """The first few of an order of slots, which leave it one by one and never return.

    Each slot is looked at until it has moved up to the front, and then while it is there: constant time, on average.

    Args:
        order: the slots, in order.
    """

    def __init__(self, order: Order) -> None:
        self.order, self.passed = order, 0
        self.front: list[int] = []

    def first(self, chosen: int, has_left: Callable[[int], bool]) -> list[int]:
        """The first `chosen` slots that have not left, or all of them."""
        self.front = [slot for slot in self.front if not has_left(slot)]
        while len(self.front) < chosen and self.passed < len(self.order):
            slot = int(self.order[self.passed])
            self.passed += 1
            if not has_left(slot):
                self.front.append(slot)
        return self.front[:chosen]


class Ages:
    """The order in which the slots of one memory were accessed.

    Slots that were not accessed since the sequence began stand in the order of their ages then; those that were, behind
    them, in the order of their last access. Of equally old ones the lower slot is first.

    Args:
        elapsed_N: steps since a slot was accessed, when the sequence begins.
    """

    def __init__(self, elapsed_N: Tensor) -> None:
        self.at_start_N, self.steps = elapsed_N, 0
        least, most = torch.aminmax(elapsed_N)
        order: Order = range(len(elapsed_N))
        if bool(least < most):
            order = elapsed_N.sort(descending=True, stable=True).indices.cpu().numpy()
        self.waiting = Front(order)
        self.accessed: OrderedDict[int, int] = OrderedDict()  # the step of a slot's last access; the oldest first

    def oldest(self, chosen: int) -> list[int]:
        """The slots that were accessed longest ago."""
        waiting = self.waiting.first(chosen, self.accessed.__contains__)
        return [*waiting, *islice(self.accessed, chosen - len(waiting))]

    def step(self, accessed: Iterable[int]) -> None:
        """A step has passed in which these slots, in order, were accessed."""
        self.steps += 1
        for slot in accessed:
            self.accessed[slot] = self.steps
            self.accessed.move_to_end(slot)

    def elapsed(self) -> Tensor:
        """Steps since a slot was accessed, ``[N]``."""
        elapsed_N = self.at_start_N + self.steps
        if self.accessed:
            slots, steps = torch.tensor([*self.accessed.items()], device=elapsed_N.device).unbind(1)
            elapsed_N[slots] = self.steps - steps
        return elapsed_N
