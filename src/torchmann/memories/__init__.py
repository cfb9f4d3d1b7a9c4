"""What is stored, how it is read and written, and at which steps."""

from torchmann.memories.dnc import DNCMemory, DNCState
from torchmann.memories.memory import Memory
from torchmann.memories.ntm import NTMMemory, NTMState
from torchmann.memories.writing import (
    CachedUniform,
    DenseFrom,
    EveryStep,
    RandomSteps,
    Uniform,
    WritingPolicy,
    optimal_interval,
)

__all__ = [
    "CachedUniform",
    "DNCMemory",
    "DNCState",
    "DenseFrom",
    "EveryStep",
    "Memory",
    "NTMMemory",
    "NTMState",
    "RandomSteps",
    "Uniform",
    "WritingPolicy",
    "optimal_interval",
]
