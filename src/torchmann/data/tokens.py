"""Documents as numbers: tokenising them, and a vocabulary by document frequency.

Legend: N tokens of all documents, D documents, V words, U different words before the rare ones are dropped.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import require_positive
from torchmann.data.cache import Parsed

PARSER = 1
"""Grows with every change of what becomes of a text, or of how it is stored; part of the key of whatever is cached."""

CHUNK = 1 << 20  # tokens that are renumbered at once

PAD, UNKNOWN = range(2)
SPECIAL = ("<pad>", "<unknown>")

_OTHER = re.compile(r"[^ A-Za-z0-9(),!?.'`]+")
_CLITICS = ("'s", "'ve", "n't", "'re", "'d", "'ll")
_MARKS = ",.!()?"


class Labelled(NamedTuple):
    """A document and its class, from 0."""

    label: int
    text: str


@dataclass(frozen=True)
class Documents:
    """Documents as flat arrays: document d is ``tokens[offsets[d] : offsets[d + 1]]``, at least one token.

    Attributes:
        tokens: ``[N]`` int32.
        offsets: ``[D + 1]`` int64.
        labels: ``[D]`` int64: classes from 0.
    """

    tokens: Tensor
    offsets: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Corpus:
    """The documents of a data set as tokens.

    Attributes:
        vocabulary: ``[V]``, `SPECIAL` and the words, the most frequent first.
        documents: those of training and then those of the test, each in the order of the files.
        train: how many are of training.
    """

    vocabulary: tuple[str, ...]
    documents: Documents
    train: int

    def parsed(self) -> Parsed:
        """In the form that `torchmann.data.cache` keeps."""
        return dict(vars(self.documents)), {"vocabulary": self.vocabulary, "train": self.train}

    @classmethod
    def of_parsed(cls, parsed: Parsed) -> Corpus:
        """The inverse of `parsed`; more values among the parsed ones do not matter."""
        tensors, values = parsed
        return cls(tuple(values["vocabulary"]), Documents(**tensors), values["train"])

    @property
    def counts(self) -> dict[str, int]:
        """The number of documents in ``"train"`` and ``"test"``."""
        return {"train": self.train, "test": len(self.documents) - self.train}


def tokenise(text: str) -> list[str]:
    """The words and punctuation marks of a document, in lower case.

    Characters other than ASCII letters, digits and ``( ) , ! ? . ' ``` part words; ``'s 've n't 're 'd 'll`` and all
    marks but the quotation marks become tokens of their own. This is the preprocessing of region embedding
    (comparators-recurrent.md 12), which splits off clitics in lower case only: ``DON'T`` stays one word.
    """
    text = _OTHER.sub(" ", text)
    for clitic in _CLITICS:
        text = text.replace(clitic, f" {clitic}")
    for mark in _MARKS:
        text = text.replace(mark, f" {mark} ")
    return text.lower().split()


def encode(train: Iterable[Labelled], test: Iterable[Labelled], min_documents: int) -> Corpus:
    """Tokenise documents, and number their words by how many training documents have them.

    Every text is taken once and not kept. A document without any word becomes one unknown word.

    Args:
        train: alone makes the vocabulary.
        test: its other words become `UNKNOWN`.
        min_documents: training documents that a word must be in.

    Raises:
        OptionError: `min_documents` is below 1.
    """
    require_positive(min_documents=min_documents)
    found = _Numbered()
    frequencies = found.add(train)
    count = len(found.labels)
    found.add(test)
    numbers = found.numbers
    words = [word for word, number in numbers.items() if word and frequencies[number] >= min_documents]
    words.sort(key=lambda word: -frequencies[numbers[word]])  # stable: of equally frequent ones the first that came
    places_U = torch.full((len(numbers),), UNKNOWN, dtype=torch.int32)
    places_U[[numbers[word] for word in words]] = torch.arange(len(words), dtype=torch.int32) + len(SPECIAL)
    tokens_N = _tensor(found.tokens, torch.int32)
    for part in tokens_N.split(CHUNK):  # in place, for there may be hundreds of millions
        part.copy_(places_U.index_select(0, part))
    documents = Documents(tokens_N, _tensor(found.offsets, torch.int64), _tensor(found.labels, torch.int64))
    return Corpus((*SPECIAL, *words), documents, count)


class _Numbered:
    """Documents in which every word that ever came has a number, as flat arrays."""

    def __init__(self) -> None:
        self.numbers: defaultdict[str, int] = defaultdict()
        self.numbers.default_factory = self.numbers.__len__  # a new word gets the next number
        self.tokens, self.offsets, self.labels = array("i"), array("q", [0]), array("q")

    def add(self, documents: Iterable[Labelled]) -> Counter[int]:
        """Add documents; how many of them each word is in, by its number."""
        frequencies: Counter[int] = Counter()
        for label, text in documents:
            document = [self.numbers[word] for word in tokenise(text) or [""]]
            frequencies.update(set(document))
            self.tokens.extend(document)
            self.offsets.append(len(self.tokens))
            self.labels.append(label)
        return frequencies


def _tensor(values: array[int], dtype: torch.dtype) -> Tensor:
    """The numbers of an array, which shares its memory."""
    return torch.frombuffer(values, dtype=dtype) if values else torch.zeros(0, dtype=dtype)
