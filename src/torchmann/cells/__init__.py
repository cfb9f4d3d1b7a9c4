"""Anything with a step."""

from torchmann.cells.cached_writing import CacheAttention, CacheState
from torchmann.cells.elman import ElmanCell, ElmanState
from torchmann.cells.feedforward import FeedForwardCell, FeedForwardState
from torchmann.cells.gru import GRUCell, GRUState
from torchmann.cells.layered_interface import LayeredInterface
from torchmann.cells.lstm import LayerNormLSTMCell, LSTMCell, LSTMState
from torchmann.cells.memory_augmented import (
    LinearInterface,
    LinearReadout,
    MemoryAugmentedCell,
    MemoryAugmentedState,
    Readout,
)
from torchmann.cells.normalised import Normalised
from torchmann.cells.stacked import Stacked, StackedState

__all__ = [
    "CacheAttention",
    "CacheState",
    "ElmanCell",
    "ElmanState",
    "FeedForwardCell",
    "FeedForwardState",
    "GRUCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
    "LayerNormLSTMCell",
    "LayeredInterface",
    "LinearInterface",
    "LinearReadout",
    "MemoryAugmentedCell",
    "MemoryAugmentedState",
    "Normalised",
    "Readout",
    "Stacked",
    "StackedState",
]
