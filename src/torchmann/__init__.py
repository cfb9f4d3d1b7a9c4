"""torchmann: memory-augmented neural networks for PyTorch, under one interface."""

from torchmann import cells, functional, memories, models, tasks
from torchmann.cells import MemoryAugmentedCell, Stacked
from torchmann.core import Cell, Controller, Draw, Recorder, State, state
from torchmann.engines import Recurrent, check_cell
from torchmann.interop import from_torch, to_torch
from torchmann.models import DAM, DNC, GRU, LSTM, NTM, NTM1, NTM2, NTM3, RNN, SequenceModel

__version__ = "0.1.0"

__all__ = [
    "DAM",
    "DNC",
    "GRU",
    "LSTM",
    "NTM",
    "NTM1",
    "NTM2",
    "NTM3",
    "RNN",
    "Cell",
    "Controller",
    "Draw",
    "MemoryAugmentedCell",
    "Recorder",
    "Recurrent",
    "SequenceModel",
    "Stacked",
    "State",
    "cells",
    "check_cell",
    "from_torch",
    "functional",
    "memories",
    "models",
    "state",
    "tasks",
    "to_torch",
]
