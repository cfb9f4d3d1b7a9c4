from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmann.core.errors import OptionError
from torchmann.data.tokens import SPECIAL, UNKNOWN, Corpus, Labelled, encode, tokenise

TEXTS = st.text(st.sampled_from("abcnstdlveT '`\"\\,.!?()-\n\té5"), max_size=40)


def slow_tokens(text):
    """The preprocessing of region embedding, one rule after the other."""
    text = "".join(letter if re.match(r"[A-Za-z0-9(),!?.'`]", letter) else " " for letter in text)
    for clitic in ("'s", "'ve", "n't", "'re", "'d", "'ll"):
        text = re.sub(re.escape(clitic), lambda found: " " + found[0], text)
    for mark in ",.!()?":
        text = re.sub(re.escape(mark), lambda found: f" {found[0]} ", text)
    return [word for word in re.split(r"\s+", text.lower()) if word]


def slow_encode(train, test, min_documents):
    """The vocabulary as a set of rules: frequency first, then first appearance."""
    counts, first = Counter(), {}
    for _, text in train:
        for word in dict.fromkeys(slow_tokens(text)):
            counts[word] += 1
            first.setdefault(word, len(first))
    kept = [word for word in counts if counts[word] >= min_documents]
    vocabulary = [*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], first[word]))]
    known = {word: number for number, word in enumerate(vocabulary)}
    documents = [[known.get(word, UNKNOWN) for word in slow_tokens(text)] or [UNKNOWN] for _, text in [*train, *test]]
    return vocabulary, documents


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's the dog's, isn't it?", "it 's the dog 's , is n't it ?"),
        ("We've won; they're (all) here!", "we 've won they 're ( all ) here !"),
        ("I'd say he'll rise 3.5%", "i 'd say he 'll rise 3 . 5"),
        ("DON'T SHOUT", "don't shout"),  # clitics are lower case before the letters are
        ('a "quote" and naïve café', "a quote and na ve caf"),
        ("back`tick' a-b\tc\nd", "back`tick' a b c d"),
        (" \n-", ""),
    ],
)
def test_tokens(text, tokens):
    assert tokenise(text) == tokens.split()


@given(TEXTS)
def test_tokens_as_the_slow_rules_say(text):
    assert tokenise(text) == slow_tokens(text)


@settings(max_examples=50)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.lists(TEXTS, max_size=4), st.integers(1, 3))
def test_encoding_as_the_slow_rules_say(train, test, min_documents):
    train, test = ([Labelled(len(text) % 3, text) for text in texts] for texts in (train, test))
    vocabulary, documents = slow_encode(train, test, min_documents)
    corpus = encode(iter(train), iter(test), min_documents)
    assert list(corpus.vocabulary) == vocabulary
    found = corpus.documents
    starts = found.offsets.tolist()
    assert [found.tokens[start:stop].tolist() for start, stop in pairwise(starts)] == documents
    assert found.labels.tolist() == [label for label, _ in [*train, *test]]
    assert corpus.counts == {"train": len(train), "test": len(test)}


def test_only_training_documents_make_the_vocabulary():
    train = [Labelled(0, "one two two"), Labelled(0, "two one"), Labelled(0, "three three two")]
    corpus = encode(train, [Labelled(0, "three four two"), Labelled(0, "four")], 2)
    assert corpus.vocabulary == (*SPECIAL, "two", "one")  # in three and two documents; "three" is in one, twice
    assert corpus.documents.tokens.tolist() == [3, 2, 2, 2, 3, 1, 1, 2, 1, 1, 2, 1]


def test_parsed_and_back():
    corpus = encode([Labelled(1, "a b"), Labelled(0, "b")], [Labelled(0, "b")], 1)
    again = Corpus.of_parsed(corpus.parsed())
    assert (again.vocabulary, again.train) == (corpus.vocabulary, 2)
    assert all(value.equal(vars(corpus.documents)[name]) for name, value in vars(again.documents).items())


def test_min_documents_must_be_positive():
    with pytest.raises(OptionError, match="min_documents must be an integer of at least 1, got 0"):
        encode([], [], 0)
