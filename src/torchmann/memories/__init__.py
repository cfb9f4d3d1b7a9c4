"""What is stored, how it is read and written, and at which steps."""

from torchmann.memories.dnc import DNCMemory, DNCState
from torchmann.memories.memory import Memory
from torchmann.memories.ntm import NTMMemory, NTMState
from torchmann.memories.writing import HOLD, EveryStep, Uniform, WritingPolicy

__all__ = [
    "HOLD",
    "DNCMemory",
    "DNCState",
    "EveryStep",
    "Memory",
    "NTMMemory",
    "NTMState",
    "Uniform",
    "WritingPolicy",
]
