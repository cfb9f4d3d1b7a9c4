"""Weights from and to other code bases, and the proof that the same numbers come out."""

from torchmann.interop.replay import from_source, replay
from torchmann.interop.source_model import SourceModel
from torchmann.interop.sources import SOURCES
from torchmann.interop.torch_recurrent import from_torch, to_torch
from torchmann.interop.verify import Comparison, Verdict, verify

__all__ = [
    "SOURCES",
    "Comparison",
    "SourceModel",
    "Verdict",
    "from_source",
    "from_torch",
    "replay",
    "to_torch",
    "verify",
]
