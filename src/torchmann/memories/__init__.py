"""What is stored, how it is read and written, and at which steps."""

from torchmann.memories.addressing import Addressing, AutoAddressing, TardisAddressing
from torchmann.memories.distributed import Distributed, DistributedState
from torchmann.memories.dnc import DNCMemory, DNCState
from torchmann.memories.memory import Memory
from torchmann.memories.ntm import NTMMemory, NTMState
from torchmann.memories.relational import RelationalMemory, RelationalState
from torchmann.memories.slot_history import SlotHistory, SlotHistoryNoise, SlotHistoryState
from torchmann.memories.sparse import SparseMemory, SparseState
from torchmann.memories.sparse_dnc import SparseDNCMemory
from torchmann.memories.structured_ntm import StructuredNTMMemory
from torchmann.memories.visible import VisibleMemory, VisibleState
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
    "Addressing",
    "AutoAddressing",
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
    "RelationalMemory",
    "RelationalState",
    "SlotHistory",
    "SlotHistoryNoise",
    "SlotHistoryState",
    "SparseDNCMemory",
    "SparseMemory",
    "SparseState",
    "StructuredNTMMemory",
    "TardisAddressing",
    "Uniform",
    "VisibleMemory",
    "VisibleState",
    "WritingPolicy",
    "optimal_interval",
]
