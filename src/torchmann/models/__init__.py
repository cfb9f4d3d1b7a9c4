"""The papers' systems as wiring and defaults."""

from torchmann.models.dnc import DNC
from torchmann.models.ntm import NTM
from torchmann.models.plain import GRU, LSTM, RNN
from torchmann.models.registry import build, model_named, names
from torchmann.models.sequence import SequenceModel

__all__ = ["DNC", "GRU", "LSTM", "NTM", "RNN", "SequenceModel", "build", "model_named", "names"]
