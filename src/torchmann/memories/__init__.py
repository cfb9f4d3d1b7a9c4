"""What is stored, how it is read and written, and at which steps."""

from torchmann.memories.distributed import Distributed, DistributedState
from torchmann.memories.dnc import DNCMemory, DNCState
from torchmann.memories.memory import Memory
from torchmann.memories.ntm import NTMMemory, NTMState
from torchmann.memories.structured_ntm import StructuredNTMMemory
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
    "Distributed",
    "DistributedState",
    "EveryStep",
    "Memory",
    "NTMMemory",
    "NTMState",
    "RandomSteps",
    "StructuredNTMMemory",
    "Uniform",
    "WritingPolicy",
    "optimal_interval",
]
