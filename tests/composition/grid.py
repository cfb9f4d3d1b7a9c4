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
    RelationalMemory,
    SlotHistory,
    SparseDNCMemory,
    SparseMemory,
    StructuredNTMMemory,
    TardisAddressing,
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
    order: str

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
    "sam": lambda: SparseMemory(SLOTS, WIDTH, reads=2, nearest=3),
    "sdnc": lambda: SparseDNCMemory(SLOTS, WIDTH, nearest=3, link_entries=3),
    "relational": lambda: RelationalMemory(SLOTS, 2 * WIDTH, heads=2),
    # so few slots that in a few steps each is read; TARDIS, which never reads one twice running, needs three to choose
    "slots_auto": lambda: SlotHistory(2, WIDTH, initial_memory="random"),
    "slots_tardis": lambda: SlotHistory(
        3, WIDTH, addressing=TardisAddressing(3, WIDTH, query_size=3, key_size=2), initial_memory="random"
    ),
}
CHOOSING = ("sam", "sdnc", "slots_auto", "slots_tardis")  # a small step may change which slots they read
WRITING: dict[str, Callable[[], WritingPolicy]] = {
    "every": EveryStep,
    "uniform": lambda: Uniform(2),
    "cached": lambda: CachedUniform(2, attention_size=3),
    "random_hold_write": lambda: RandomSteps(0.5, seed=1, hold="write"),
    "uniform_hold_read": lambda: Uniform(2, hold="read"),
}
CONTROLLERS = ("lstm", "layernorm_lstm", "gru", "rnn", "feedforward", "armin", "tardis")
BLOCKS = (0, 1, 2, 3)  # 0: the memory by itself
REFRESHING = (0.0, 0.5)  # probability that a step is to be reproduced
ORDERS = ("control_first", "read_first")  # where in a step the memory is read

MEMORIES = [*product(ALLOCATING, ("sorted", "softmax")), *product(OTHERS, ("none",))]
GRID = [
    Combination(controller, memory, allocation, *others)
    for controller, (memory, allocation), *others in product(CONTROLLERS, MEMORIES, WRITING, BLOCKS, REFRESHING, ORDERS)
]


def refusal(combination: Combination) -> str | None:
    """Why a combination cannot work, as its error says it; None if it can."""
    read_first = combination.order == "read_first"
    if combination.memory == "ntm3" and combination.blocks and not read_first:
        return "to the write heads of one NTMMemory, got a Stacked and a Distributed"
    looks_back = read_first and (combination.memory != "relational" or combination.blocks > 1)  # in order to read
    if combination.controller == "feedforward" and combination.writing == "cached" and not looks_back:
        return "which a feed-forward .* layer does not look at"
    return None


WORKING = [combination for combination in GRID if refusal(combination) is None]


def build(combination: Combination) -> tm.Recurrent:
    """The model. A distributed memory comes with the controller of the distributed model: normalised, with dropout."""
    name, allocation, blocks = combination.memory, combination.allocation, combination.blocks

    def block() -> Memory:
        return ALLOCATING[name](allocation) if name in ALLOCATING else OTHERS[name]()

    memory = Distributed(block, blocks) if blocks else block()
    layered, read_first = name == "ntm3", combination.order == "read_first"
    options: dict[str, Any] = {"clip": None, "initial": "constant", "device": None, "dtype": None}
    sizes = (INPUT + memory.read_size, HIDDEN)
    options["read_size"] = memory.read_size
    controller: Controller = make_controller(combination.controller, *sizes, layers=2 if layered else 1, **options)
    wiring: dict[str, Any] = {}
    if layered and not read_first:
        wiring["interface"] = LayeredInterface(controller, memory)  # type: ignore[arg-type]
    if blocks:
        controller = Normalised(controller)
    make = tm.ReadFirstCell if read_first else tm.MemoryAugmentedCell
    cell = make(
        controller,
        memory,
        **wiring,
        writing=WRITING[combination.writing](),
        bypass_dropout=0.1 if blocks else 0.0,
        output_size=OUTPUT + (INPUT if combination.refreshing else 0),
    )
    return tm.Recurrent(cell)


Choices = set[tuple[tuple[int, Any], ...]]


def choices(combination: Combination, axes: int = 2) -> Choices:
    """The choices on each two axes, or on each so many."""
    return set(combinations(enumerate(combination), axes))


def covering(candidates: Iterable[Combination], axes: int = 2) -> list[Combination]:
    """Some of the candidates, in which every pair of choices occurs that occurs in any of them.

    Greedy: always the candidate with the most pairs that are still missing, the first one among equals. With another
    number of axes it is every single choice, or every three, and so on.
    """
    offers = {candidate: choices(candidate, axes) for candidate in candidates}
    missing, chosen = set().union(*offers.values()), []
    while missing:
        best = max(offers, key=lambda candidate: len(offers[candidate] & missing))
        chosen.append(best)
        missing -= offers[best]
    return chosen
