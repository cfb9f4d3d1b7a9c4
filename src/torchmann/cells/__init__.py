"""Anything with a step."""

from torchmann.cells.armin import ARMINCell, ARMINState
from torchmann.cells.cached_writing import CacheAttention, CacheState
from torchmann.cells.elman import ElmanCell, ElmanState
from torchmann.cells.feedforward import FeedForwardCell, FeedForwardState
from torchmann.cells.gru import GRUCell, GRUState
from torchmann.cells.layered_interface import LayeredInterface
from torchmann.cells.linear_maps import HalfInterface, LinearInterface, LinearReadout, Readout
from torchmann.cells.lstm import LayerNormLSTMCell, LSTMCell, LSTMState
from torchmann.cells.memory_augmented import MemoryAugmentedCell
from torchmann.cells.memory_cell import MemoryAugmentedNoise, MemoryAugmentedState, MemoryCell
from torchmann.cells.normalised import Normalised
from torchmann.cells.pass_through import PassThrough, PassThroughState
from torchmann.cells.read_first import ReadFirstCell
from torchmann.cells.reads_readout import ReadsReadout
from torchmann.cells.skip_stacked import SkipStacked
from torchmann.cells.stacked import Stacked, StackedState
from torchmann.cells.tardis import TARDISCell, TARDISNoise, TARDISState
from torchmann.cells.wrapped import Wrapped
from torchmann.cells.zoneout import Zoneout, ZoneoutNoise

__all__ = [
    "ARMINCell",
    "ARMINState",
    "CacheAttention",
    "CacheState",
    "ElmanCell",
    "ElmanState",
    "FeedForwardCell",
    "FeedForwardState",
    "GRUCell",
    "GRUState",
    "HalfInterface",
    "LSTMCell",
    "LSTMState",
    "LayerNormLSTMCell",
    "LayeredInterface",
    "LinearInterface",
    "LinearReadout",
    "MemoryAugmentedCell",
    "MemoryAugmentedNoise",
    "MemoryAugmentedState",
    "MemoryCell",
    "Normalised",
    "PassThrough",
    "PassThroughState",
    "ReadFirstCell",
    "Readout",
    "ReadsReadout",
    "SkipStacked",
    "Stacked",
    "StackedState",
    "TARDISCell",
    "TARDISNoise",
    "TARDISState",
    "Wrapped",
    "Zoneout",
    "ZoneoutNoise",
]
