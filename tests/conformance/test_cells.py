"""Every cell keeps every clause of the contract. A new cell joins with one line in CELLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchmann as tm
from torchmann.cells import (
    ElmanCell,
    FeedForwardCell,
    GRUCell,
    LayeredInterface,
    LayerNormLSTMCell,
    LinearInterface,
    LSTMCell,
    Normalised,
)
from torchmann.core import Cell
from torchmann.engines import CHECKS
from torchmann.memories import (
    CachedUniform,
    Distributed,
    DNCMemory,
    Memory,
    NTMMemory,
    RandomSteps,
    StructuredNTMMemory,
    Uniform,
)


def ntm_with_feedforward_controller() -> Cell:
    memory = NTMMemory(5, 4, initial_memory="random", initial_weights="constant", initial_reads="tanh")
    return tm.MemoryAugmentedCell(FeedForwardCell(3 + 4, 6, activation="tanh"), memory, output_size=2)


def dnc_without_feedback() -> Cell:
    memory = tm.memories.DNCMemory(5, 4, reads=2, key_activation="tanh", strength="softplus")
    controller = tm.Stacked([GRUCell(3, 6), LSTMCell(6, 5)], dropout=0.3)
    interface = LinearInterface(controller, memory, source="1.c")
    return tm.MemoryAugmentedCell(controller, memory, interface=interface, feedback=False)


def distributed(make_block: Callable[[], Memory], blocks: int, **options: bool) -> Cell:
    memory = Distributed(make_block, blocks, **options)
    controller = Normalised(LSTMCell(3 + memory.read_size, 6))
    return tm.MemoryAugmentedCell(controller, memory, bypass_dropout=0.2, output_size=2)


def layered(levels: int) -> Cell:
    memory = StructuredNTMMemory(5, 4, levels=levels)
    controller = tm.Stacked([LSTMCell(3 + 4, 5), *(LSTMCell(5, 5) for _ in range(levels - 1))])
    return tm.MemoryAugmentedCell(controller, memory, interface=LayeredInterface(controller, memory))


def structured(**options: Any) -> Cell:
    return tm.MemoryAugmentedCell(LSTMCell(3 + 4, 6), StructuredNTMMemory(5, 4, **options), output_size=2)


CELLS: dict[str, Callable[[], Cell]] = {
    "elman": lambda: ElmanCell(3, 5),
    "gru": lambda: GRUCell(3, 5),
    "gru-reset-before": lambda: GRUCell(3, 5, reset_after=False, initial="learned"),
    "lstm": lambda: LSTMCell(3, 5),
    "lstm-clipped": lambda: LSTMCell(3, 5, clip=0.4, initial="tanh"),
    "layernorm-lstm": lambda: LayerNormLSTMCell(3, 5),
    "layernorm-lstm-uw": lambda: LayerNormLSTMCell(3, 5, bias=False, carry="normalised", epsilon=1e-12),
    "feedforward": lambda: FeedForwardCell(3, 5, activation="tanh"),
    "stacked": lambda: tm.Stacked([LSTMCell(3, 5), GRUCell(5, 4), ElmanCell(4, 4)]),
    "stacked-dropout": lambda: tm.Stacked([LSTMCell(3, 5), LSTMCell(5, 4)], dropout=0.4),
    "ntm": lambda: tm.NTM(3, 6, slots=5, width=4, output_size=2).cell,
    "ntm-heads": lambda: tm.NTM(3, 6, slots=7, width=4, reads=3, writes=2, order="interleaved", layers=2).cell,
    "ntm-write-first": lambda: tm.NTM(3, 6, slots=5, width=4, order="write_first", erase="coupled").cell,
    "ntm-feedforward": ntm_with_feedforward_controller,
    "dnc": lambda: tm.DNC(3, 6, slots=5, width=4, output_size=2).cell,
    "dnc-heads": lambda: tm.DNC(3, 6, slots=7, width=4, reads=3, writes=2).cell,
    "dnc-content": lambda: tm.DNC(3, 6, slots=5, width=4, links=False, controller="layernorm_lstm").cell,
    "dnc-softmax-allocation": lambda: tm.DNC(3, 6, slots=5, width=4, writes=2, allocation="softmax").cell,
    "dnc-uniform": lambda: tm.DNC(3, 6, slots=5, width=4, writing=Uniform(3), controller="gru").cell,
    "dnc-cached": lambda: tm.DNC(3, 6, slots=5, width=4, writing=CachedUniform(3, attention_size=4)).cell,
    "dnc-random-hold-write": lambda: tm.DNC(3, 6, slots=5, width=4, writing=RandomSteps(0.5, hold="write")).cell,
    "dnc-uniform-hold-read": lambda: tm.DNC(3, 6, slots=5, width=4, writing=Uniform(2, hold="read")).cell,
    "ntm-cached": lambda: tm.NTM(3, 6, slots=5, width=4, layers=2, writing=CachedUniform(2)).cell,
    "ntm-uniform-hold-write": lambda: tm.NTM(3, 6, slots=5, width=4, writing=Uniform(2, hold="write")).cell,
    "ntm1": lambda: structured(written="first"),
    "ntm2": lambda: structured(levels=3),
    "ntm2-shared-heads-fixed-mixing": lambda: structured(shared_heads=True, trained=False),
    "ntm3": lambda: layered(2),
    "dam": lambda: distributed(lambda: DNCMemory(5, 4, reads=2, links=False), 2),
    "dam-gated-retention": lambda: distributed(lambda: DNCMemory(5, 4, links=False), 3, gated_retention=True),
    "distributed-ntm": lambda: distributed(lambda: NTMMemory(5, 4, reads=2), 2),
    "dnc-no-feedback": dnc_without_feedback,
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("cell", CELLS)
def test_cell_keeps_the_contract(cell: str, check: str) -> None:
    torch.manual_seed(0)
    CHECKS[check](CELLS[cell]())
