"""The papers' systems as wiring and defaults."""

from torchmann.models.armin import ARMIN
from torchmann.models.awta import AwTA
from torchmann.models.dam import DAM
from torchmann.models.darmc import DARMC
from torchmann.models.dnc import DNC
from torchmann.models.ntm import NTM
from torchmann.models.plain import GRU, LSTM, RNN
from torchmann.models.presets import preset_names, preset_table
from torchmann.models.registry import build, model_named, names
from torchmann.models.rmc import RMC
from torchmann.models.sam import SAM
from torchmann.models.sdnc import SDNC
from torchmann.models.sentence_encoder import SentenceEncoder
from torchmann.models.sequence import SequenceModel
from torchmann.models.storage import load, save
from torchmann.models.structured_ntm import NTM1, NTM2, NTM3
from torchmann.models.tardis import TARDIS

__all__ = [
    "ARMIN",
    "DAM",
    "DARMC",
    "DNC",
    "GRU",
    "LSTM",
    "NTM",
    "NTM1",
    "NTM2",
    "NTM3",
    "RMC",
    "RNN",
    "TARDIS",
    "AwTA",
    "SAM",
    "SDNC",
    "SentenceEncoder",
    "SequenceModel",
    "build",
    "load",
    "model_named",
    "names",
    "preset_names",
    "preset_table",
    "save",
]
