"""The published sizes of the uniform-writing study: DNC 98,840, with cached writing 96,120, LSTM 103,840 parameters.

Four slots of width 64, one read head, a 10-symbol alphabet; the layer-norm LSTM of the released code has no biases.
"""

from __future__ import annotations

from torch import nn

import torchmann as tm
from torchmann.cells import LayerNormLSTMCell, LinearInterface, LinearReadout
from torchmann.memories import CachedUniform, DNCMemory, EveryStep, Uniform, WritingPolicy

SYMBOLS, SLOTS, WIDTH = 10, 4, 64
INTERFACE = WIDTH + 3 * WIDTH + 5 + 3


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def controller(input_size: int, hidden_size: int) -> LayerNormLSTMCell:
    return LayerNormLSTMCell(input_size, hidden_size, bias=False, carry="normalised", epsilon=1e-12)


def dead_embeddings() -> list[nn.Module]:
    """Two tables that the released code makes trainable and never looks at: its symbols come one-hot."""
    return [nn.Embedding(SYMBOLS, SYMBOLS), nn.Embedding(SYMBOLS, SYMBOLS)]


def dnc(hidden_size: int, writing: WritingPolicy) -> tm.MemoryAugmentedCell:
    memory = DNCMemory(SLOTS, WIDTH)
    assert memory.interface_size == INTERFACE
    driver = controller(SYMBOLS + WIDTH, hidden_size)
    return tm.MemoryAugmentedCell(
        driver,
        memory,
        writing=writing,
        interface=LinearInterface(driver, memory, bias=False, clip=20.0),
        readout=LinearReadout(hidden_size, WIDTH, SYMBOLS, bias=False, clip=20.0),
    )


def test_dnc() -> None:
    for writing in (EveryStep(), Uniform(10)):
        assert count(dnc(100, writing)) == 98_640
        assert count(dnc(100, writing), *dead_embeddings()) == 98_840


def test_dnc_with_cached_writing() -> None:
    cell = dnc(95, CachedUniform(5, attention_size=16))
    assert count(cell.attention) == 4_080
    assert count(cell, *dead_embeddings()) == 96_120


def test_lstm() -> None:
    cell, head = controller(SYMBOLS, 125), nn.Linear(125, SYMBOLS, bias=False)
    assert count(cell, head) == 70_000
    # The released baseline also makes, and counts, the maps to and from a memory that it does not have.
    dead_maps = [nn.Linear(125, INTERFACE, bias=False), nn.Linear(WIDTH, SYMBOLS, bias=False)]
    assert count(cell, head, *dead_maps, *dead_embeddings()) == 103_840
