"""The papers' systems as wiring and defaults."""

from torchmann.models.dam import DAM
from torchmann.models.dnc import DNC
from torchmann.models.ntm import NTM
from torchmann.models.plain import GRU, LSTM, RNN
from torchmann.models.presets import preset_names, preset_table
from torchmann.models.registry import build, model_named, names
from torchmann.models.sequence import SequenceModel
from torchmann.models.structured_ntm import NTM1, NTM2, NTM3

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
    "SequenceModel",
    "build",
    "model_named",
    "names",
    "preset_names",
    "preset_table",
]
