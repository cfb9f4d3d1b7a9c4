"""Data sets on disk: get, find, read and check them; what they are used for is said in `tasks`."""

from torchmann.data.babi import ANSWER, PAD, PERIOD, QUESTION, BabiData, Stories, load_babi
from torchmann.data.babi_sentences import Questions, questions_of
from torchmann.data.cache import cached
from torchmann.data.characters import CharacterText, load_ptb, load_wikipedia
from torchmann.data.convex_hull import Hulls, load_convex_hulls
from torchmann.data.documents import load_documents
from torchmann.data.download import download
from torchmann.data.glove import load_vectors
from torchmann.data.imdb import load_imdb
from torchmann.data.locate import VARIABLE, locate
from torchmann.data.mnist import Digits, load_mnist
from torchmann.data.sources import DATA_SETS, DataSet, data_set
from torchmann.data.tokens import Corpus, Documents, tokenise

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
    "BabiData",
    "Stories",
    "load_babi",
    "Questions",
    "questions_of",
    "CharacterText",
    "load_ptb",
    "load_wikipedia",
    "Digits",
    "load_mnist",
    "Corpus",
    "Documents",
    "tokenise",
    "load_documents",
    "load_imdb",
    "load_vectors",
    "Hulls",
    "load_convex_hulls",
]
