"""Data sets on disk: find, read and check them; what they are used for is said in `tasks`."""

from torchmann.data.babi import ANSWER, PAD, PERIOD, QUESTION, Stories, load_babi
from torchmann.data.locate import VARIABLE, locate

__all__ = ["ANSWER", "PAD", "PERIOD", "QUESTION", "VARIABLE", "Stories", "load_babi", "locate"]
