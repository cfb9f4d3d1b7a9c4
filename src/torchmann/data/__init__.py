"""Data sets on disk: get, find, read and check them; what they are used for is said in `tasks`."""

from torchmann.data.babi import ANSWER, PAD, PERIOD, QUESTION, Stories, load_babi
from torchmann.data.cache import cached
from torchmann.data.download import download
from torchmann.data.locate import VARIABLE, locate
from torchmann.data.sources import DATA_SETS, DataSet, data_set

__all__ = [
    "DATA_SETS",
    "DataSet",
    "data_set",
    "VARIABLE",
    "locate",
    "download",
    "cached",
    "ANSWER",
    "PAD",
    "PERIOD",
    "QUESTION",
    "Stories",
    "load_babi",
]
