"""Every cell keeps every clause of the contract. A new cell joins with one line in CELLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchmann as tm
from torchmann.cells import (
    ARMINCell,
    ElmanCell,
    FeedForwardCell,
    GRUCell,
    LayeredInterface,
    LayerNormLSTMCell,
    LinearInterface,
    LSTMCell,
    Normalised,
    PassThrough,
    SkipStacked,
    TARDISCell,
    Zoneout,
)
from torchmann.core import Cell, Controller
from torchmann.engines import CHECKS
from torchmann.memories import (
    CachedUniform,
    Distributed,
    DNCMemory,
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
)


def ntm_with_feedforward_controller() -> Cell:
    memory = NTMMemory(5, 4, initial_memory="random", initial_weights="constant", initial_reads="tanh")
    return tm.MemoryAugmentedCell(FeedForwardCell(3 + 4, 6, activation="tanh"), memory, output_size=2)


def dnc_without_feedback() -> Cell:
    memory = tm.memories.DNCMemory(5, 4, reads=2, key_activation="tanh", strength="softplus")
    controller = tm.Stacked([GRUCell(3, 6), LSTMCell(6, 5)], dropout=0.3)
    interface = LinearInterface(controller, memory, source="1.c")
    return tm.MemoryAugmentedCell(controller, memory, interface=interface, feedback=False)


def relational_with_lstm() -> Cell:
    memory = RelationalMemory(4, 6, heads=3)
    writing = RandomSteps(0.5, hold="write")
    return tm.MemoryAugmentedCell(LSTMCell(3 + memory.read_size, 6), memory, writing=writing, output_size=2)


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


def read_first(controller: Controller, addressing: str = "auto", **options: Any) -> Cell:
    tardis = TardisAddressing(5, 4, query_size=2, key_size=3, normalisation="layer_norm", order="penalise_first")
    memory = SlotHistory(5, 4, addressing=tardis if addressing == "tardis" else None)
    return tm.ReadFirstCell(controller, memory, **options)


def distributed_histories() -> Cell:
    memory = Distributed(lambda: SlotHistory(5, 4, initial_memory="learned"), 3)
    return tm.ReadFirstCell(ARMINCell(3 + 4, 6, read_size=4), memory, bypass_dropout=0.2, output_size=2)


CELLS: dict[str, Callable[[], Cell]] = {
    "elman": lambda: ElmanCell(3, 5),
    "gru": lambda: GRUCell(3, 5),
    "gru-reset-before": lambda: GRUCell(3, 5, reset_after=False, initial="learned"),
    "lstm": lambda: LSTMCell(3, 5),
    "lstm-clipped": lambda: LSTMCell(3, 5, clip=0.4, initial="tanh"),
    "layernorm-lstm": lambda: LayerNormLSTMCell(3, 5),
    "layernorm-lstm-uw": lambda: LayerNormLSTMCell(3, 5, bias=False, carry="normalised", epsilon=1e-12),
    "feedforward": lambda: FeedForwardCell(3, 5, activation="tanh"),
    "pass-through": lambda: PassThrough(3),
    "stacked": lambda: tm.Stacked([LSTMCell(3, 5), GRUCell(5, 4), ElmanCell(4, 4)]),
    "stacked-dropout": lambda: tm.Stacked([LSTMCell(3, 5), LSTMCell(5, 4)], dropout=0.4),
    "skip-stacked": lambda: SkipStacked([LSTMCell(3, 5), GRUCell(3 + 5, 4), LSTMCell(3 + 4, 4)], dropout=0.4),
    "ntm": lambda: tm.NTM(3, 6, slots=5, width=4, output_size=2).cell,
    "ntm-heads": lambda: tm.NTM(3, 6, slots=7, width=4, reads=3, writes=2, order="interleaved", layers=2).cell,
    "ntm-write-first": lambda: tm.NTM(3, 6, slots=5, width=4, order="write_first", erase="coupled").cell,
    "ntm-feedforward": ntm_with_feedforward_controller,
    "dnc": lambda: tm.DNC(3, 6, slots=5, width=4, output_size=2).cell,
    "dnc-heads": lambda: tm.DNC(3, 6, slots=7, width=4, reads=3, writes=2).cell,
    "dnc-content": lambda: tm.DNC(3, 6, slots=5, width=4, links=False, controller="layernorm_lstm").cell,
    "dnc-softmax-allocation": lambda: tm.DNC(3, 6, slots=5, width=4, writes=2, allocation="softmax").cell,
    "dnc-uniform": lambda: tm.DNC(3, 6, slots=5, width=4, writing=Uniform(3), controller="gru").cell,
    "dnc-skip-lstm-cached": lambda: (
        tm.DNC(3, 6, slots=5, width=4, controller="skip_lstm", layers=2, writing=CachedUniform(2)).cell
    ),
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
    "rmc": lambda: tm.RMC(3, slots=4, width=6, heads=2).cell,
    "rmc-port": lambda: tm.RMC(3, slots=4, width=9, heads=3, attention_blocks=2, output_size=2, preset="port").cell,
    "rmc-memory-gates": lambda: tm.RMC(3, slots=5, width=4, key_size=3, gate_style="memory", attention_blocks=2).cell,
    "rmc-no-gates-uniform": lambda: tm.RMC(3, slots=2, width=4, gate_style="none", writing=Uniform(2)).cell,
    "relational-memory-lstm": relational_with_lstm,
    "darmc": lambda: tm.DARMC(3, slots=4, width=6, heads=2, blocks=3, output_size=2, output_layers=[5]).cell,
    "darmc-port-cached": lambda: (
        tm.DARMC(3, 5, slots=4, width=8, controller="lstm", preset="port", writing=CachedUniform(2)).cell
    ),
    "sam": lambda: tm.SAM(3, 6, slots=5, width=4, nearest=3, output_size=2).cell,
    "sam-heads": lambda: tm.SAM(3, 6, slots=7, width=4, reads=4, writes=2, nearest=2, strength=None, layers=2).cell,
    "sam-uniform-hold-read": lambda: (
        tm.SAM(3, 6, slots=5, width=4, nearest=2, writing=Uniform(2, hold="read"), controller="gru").cell
    ),
    "sam-random-hold-write": lambda: (
        tm.SAM(3, 6, slots=5, width=4, nearest=2, writing=RandomSteps(0.5, hold="write")).cell
    ),
    # a start at zero, from which all slots are equally near to the last bit, under vmap too
    "sam-visible": lambda: tm.SAM(3, 6, slots=6, width=4, nearest=2, preset="released", initial_value=0.0).cell,
    "sdnc": lambda: tm.SDNC(3, 6, slots=6, width=4, nearest=3, link_entries=3, output_size=2).cell,
    "sdnc-heads": lambda: (
        tm.SDNC(3, 6, slots=7, width=4, reads=4, writes=2, nearest=2, link_entries=2, link_rule="dnc").cell
    ),
    "sdnc-cached": lambda: tm.SDNC(3, 6, slots=5, width=4, link_entries=2, writing=CachedUniform(2)).cell,
    "sdnc-visible": lambda: tm.SDNC(3, 6, slots=7, width=4, nearest=2, link_entries=2, variant="visible").cell,
    "distributed-sam": lambda: distributed(lambda: SparseMemory(5, 4, reads=2, nearest=3), 2),
    "distributed-sdnc": lambda: distributed(lambda: SparseDNCMemory(5, 4, nearest=3, link_entries=2), 2),
    "distributed-ntm": lambda: distributed(lambda: NTMMemory(5, 4, reads=2), 2),
    "dnc-no-feedback": dnc_without_feedback,
    "armin-cell": lambda: ARMINCell(3, 5, read_size=1, initial="tanh"),
    "armin-cell-normalised": lambda: ARMINCell(3, 5, read_size=1, layer_norm=True, squash_state=True),
    "armin-cell-without-reads": lambda: ARMINCell(3, 5, read_size=0),
    "tardis-cell": lambda: TARDISCell(3, 5, read_size=1, peepholes=True),
    "zoneout-lstm": lambda: Zoneout(LayerNormLSTMCell(3, 5), {"h": 0.9, "c": 0.5}),
    "armin": lambda: tm.ARMIN(3, 6, slots=4, layer_norm=True, zoneout_keep=0.8).cell,
    "armin-released": lambda: tm.ARMIN(3, 6, slots=4, width=5, output_size=2, preset="released").cell,
    "awta": lambda: tm.AwTA(3, 6, slots=4, output_size=2, preset="released_pixel").cell,
    "tardis": lambda: tm.TARDIS(3, 6, slots=4, width=5, zoneout_keep=0.8).cell,
    "tardis-released": lambda: tm.TARDIS(3, 6, slots=4, width=5, read_keys=True, preset="released").cell,
    "armin-cached": lambda: tm.ARMIN(3, 6, slots=4, writing=CachedUniform(2)).cell,
    "awta-uniform-hold-read": lambda: tm.AwTA(3, 6, slots=4, writing=Uniform(2, hold="read")).cell,
    "tardis-random-hold-write": lambda: tm.TARDIS(3, 6, slots=4, writing=RandomSteps(0.5, hold="write")).cell,
    "slot-history-gru": lambda: read_first(GRUCell(3 + 4, 6), "tardis", output_size=2),
    "slot-history-stacked": lambda: read_first(tm.Stacked([ARMINCell(3 + 4, 6, read_size=4), LSTMCell(10, 5)])),
    "slot-history-written-first": lambda: tm.MemoryAugmentedCell(LSTMCell(3 + 4, 6), SlotHistory(5, 4)),
    "distributed-slot-histories": distributed_histories,
    "dnc-read-first": lambda: tm.ReadFirstCell(LSTMCell(3 + 8, 6), DNCMemory(5, 4, reads=2), output_size=2),
    "ntm-read-first": lambda: tm.ReadFirstCell(GRUCell(3 + 4, 6), NTMMemory(5, 4), writing=Uniform(2)),
    "dnc-armin-controller": lambda: tm.DNC(3, 6, slots=5, width=4, controller="armin", layers=2).cell,
    "ntm-tardis-controller": lambda: tm.NTM(3, 6, slots=5, width=4, controller="tardis", layers=2).cell,
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("cell", CELLS)
def test_cell_keeps_the_contract(cell: str, check: str) -> None:
    torch.manual_seed(0)
    CHECKS[check](CELLS[cell]())
