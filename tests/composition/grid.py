"""The parts that compose, axis by axis, and what a combination of them is: another axis is another field and table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, product
from typing import Any, NamedTuple

import torchmann as tm
from torchmann.cells import LayeredInterface, Normalised
from torchmann.core import Controller
from torchmann.memories import (
    CachedUniform,
    Distributed,
    DNCMemory,
    EveryStep,
    Memory,
    NTMMemory,
    RandomSteps,
    StructuredNTMMemory,
    Uniform,
    WritingPolicy,
)
from torchmann.models.controllers import make_controller

INPUT, HIDDEN, OUTPUT, SLOTS, WIDTH = 3, 6, 2, 5, 4


class Combination(NamedTuple):
    """One choice on each axis."""

    controller: str
    memory: str
    allocation: str
    writing: str
    blocks: int
    refreshing: float

    def __str__(self) -> str:
        return "-".join(map(str, self))


ALLOCATING: dict[str, Callable[..., Memory]] = {
    "dnc": lambda allocation: DNCMemory(SLOTS, WIDTH, reads=2, allocation=allocation),
    "dnc_content": lambda allocation: DNCMemory(SLOTS, WIDTH, links=False, allocation=allocation),
}
OTHERS: dict[str, Callable[[], Memory]] = {
    "ntm": lambda: NTMMemory(SLOTS, WIDTH),
    "ntm_interleaved": lambda: NTMMemory(SLOTS, WIDTH, reads=2, writes=2, order="interleaved"),
    "ntm1": lambda: StructuredNTMMemory(SLOTS, WIDTH, written="first"),
    "ntm2": lambda: StructuredNTMMemory(SLOTS, WIDTH, levels=3),
    "ntm3": lambda: StructuredNTMMemory(SLOTS, WIDTH),
}
WRITING: dict[str, Callable[[], WritingPolicy]] = {
    "every": EveryStep,
    "uniform": lambda: Uniform(2),
    "cached": lambda: CachedUniform(2, attention_size=3),
    "random_hold_write": lambda: RandomSteps(0.5, seed=1, hold="write"),
    "uniform_hold_read": lambda: Uniform(2, hold="read"),
}
CONTROLLERS = ("lstm", "layernorm_lstm", "gru", "rnn", "feedforward")
BLOCKS = (0, 1, 2, 3)  # 0: the memory by itself
REFRESHING = (0.0, 0.5)  # probability that a step is to be reproduced

MEMORIES = [*product(ALLOCATING, ("sorted", "softmax")), *product(OTHERS, ("none",))]
GRID = [
    Combination(controller, memory, allocation, *others)
    for controller, (memory, allocation), *others in product(CONTROLLERS, MEMORIES, WRITING, BLOCKS, REFRESHING)
]


def refusal(combination: Combination) -> str | None:
    """Why a combination cannot work, as its error says it; None if it can."""
    if combination.memory == "ntm3" and combination.blocks:
        return "to the write heads of one NTMMemory, got a Stacked and a Distributed"
    if combination.controller == "feedforward" and combination.writing == "cached":
        return "which a feed-forward .* layer does not look at"
    return None


WORKING = [combination for combination in GRID if refusal(combination) is None]


def build(combination: Combination) -> tm.Recurrent:
    """The model. A distributed memory comes with the controller of the distributed model: normalised, with dropout."""
    name, allocation, blocks = combination.memory, combination.allocation, combination.blocks

    def block() -> Memory:
        return ALLOCATING[name](allocation) if name in ALLOCATING else OTHERS[name]()

    memory = Distributed(block, blocks) if blocks else block()
    layered = name == "ntm3"
    options: dict[str, Any] = {"clip": None, "initial": "constant", "device": None, "dtype": None}
    sizes = (INPUT + memory.read_size, HIDDEN)
    controller: Controller = make_controller(combination.controller, *sizes, layers=2 if layered else 1, **options)
    interface = LayeredInterface(controller, memory) if layered else None  # type: ignore[arg-type]
    if blocks:
        controller = Normalised(controller)
    cell = tm.MemoryAugmentedCell(
        controller,
        memory,
        interface=interface,
        writing=WRITING[combination.writing](),
        bypass_dropout=0.1 if blocks else 0.0,
        output_size=OUTPUT + (INPUT if combination.refreshing else 0),
    )
    return tm.Recurrent(cell)


Pair = tuple[tuple[int, Any], tuple[int, Any]]


def pairs(combination: Combination) -> set[Pair]:
    """The choices on each two axes."""
    return set(combinations(enumerate(combination), 2))


def covering(candidates: Iterable[Combination]) -> list[Combination]:
    """Some of the candidates, in which every pair of choices occurs that occurs in any of them.

    Greedy: always the candidate with the most pairs that are still missing, the first one among equals.
    """
    offers = {candidate: pairs(candidate) for candidate in candidates}
    missing, chosen = set().union(*offers.values()), []
    while missing:
        best = max(offers, key=lambda candidate: len(offers[candidate] & missing))
        chosen.append(best)
        missing -= offers[best]
    return chosen
