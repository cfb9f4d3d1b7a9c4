"""Document classification: read a document word by word, then say of which class it is.

Legend: T time, B batch, N documents, O output (the classes), V words, D numbers of a word's vector.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.data.documents import TABLES, load_documents
from torchmann.data.glove import load_vectors
from torchmann.data.imdb import CLASSES, load_imdb
from torchmann.data.tokens import UNKNOWN, Corpus
from torchmann.tasks import scoring
from torchmann.tasks.examples import ExampleTask
from torchmann.tasks.task import SPLITS, Batch, Score, random_stream

UW = {"answer_step": True, "vectors": "glove"}
"""The whole document, GloVe vectors, and one step of zero input that answers (dnc.md 5)."""

FRONT = 4
"""Padding that region embedding counts among the tokens of its longest documents."""


def region_embedding(length: int) -> dict[str, Any]:
    """The documents of region embedding, whose sequences of at most `length` begin with `FRONT` steps of padding."""
    return {"max_tokens": length - FRONT}


class DocumentTask(ExampleTask):
    """Show a document word by word, and ask for its class at the last word.

    Tokens are lower-case words and punctuation marks (comparators-recurrent.md 12), numbered by the training files.
    Training documents that are held out for validation are drawn at random, always the same ones.

    Args:
        data: The files, their archive, or a folder with either; by default the folder named by the environment
            variable TORCHMANN_DATA.
        allow_partial: Train on fewer documents than are published; for short: --allow-partial.
        holdout: Training documents that are kept for validation: their share if below 1, else their number.
        max_tokens: Longer documents are cut after so many tokens; null shows them whole.
        answer_step: Ask one step later, at a step of padding, so that a model with memory reads once more after the
            last word before it answers. Released code of uniform writing answers so, at zero input; here that input
            is the embedding of padding, which is zero at first only if `vectors` are given.
        buckets: Training batches that are sorted by length together, so that little of a batch is padding; 1 does not
            sort.
        min_documents: Training documents that a word must be in, else it is an unknown one.
        vectors: Vectors that the embedding of the words starts from: a .txt or .zip file in GloVe's form, or "glove"
            for the downloaded ones. Their length goes before --model.embedding_size. Words without one start from
            small random numbers, padding from zeros.
    """

    input_kind = "tokens"
    target_kind = "classes"
    metric = "accuracy"
    data_set: ClassVar[str]

    def __init__(
        self,
        data: str | None = None,
        allow_partial: bool = False,
        holdout: float = 0.1,
        max_tokens: int | None = None,
        answer_step: bool = False,
        buckets: int = 20,
        min_documents: int = 2,
        vectors: str | None = None,
    ) -> None:
        if max_tokens is not None:
            require_positive(max_tokens=max_tokens)
        corpus = self.load(data, allow_partial, min_documents)
        self.vocabulary, self._documents = corpus.vocabulary, corpus.documents
        self.answer_step, self.vectors = answer_step, vectors
        self.input_size, self.output_size = len(self.vocabulary), len(self.classes)
        self.refresh_size = self.input_size
        words_N = corpus.documents.offsets.diff()
        self._words_N = words_N if max_tokens is None else words_N.clamp(max=max_tokens)
        self.story_steps = int(self._words_N[: corpus.train].max()) - (not answer_step)
        super().__init__(_split(corpus, holdout), lengths_N=self._words_N, buckets=buckets)

    def load(self, data: str | None, allow_partial: bool, min_documents: int) -> Corpus:
        """The documents of the set; arguments as of the task."""
        return load_documents(self.data_set, data, allow_partial, min_documents)

    @property
    def word_vectors(self) -> Tensor | None:
        """``[V, D]`` that the embedding of the vocabulary starts from; None without `vectors`."""
        return None if self.vectors is None else load_vectors(self.vectors, self.vocabulary)

    def collate(self, rows_B: Tensor) -> Batch:
        """See `ExampleTask.collate`."""
        documents = self._documents
        words_B = self._words_N[rows_B]
        lengths_B = words_B + self.answer_step
        step_T1 = torch.arange(int(lengths_B.max())).unsqueeze(1)
        shown_TB = step_T1 < words_B
        place_TB = torch.where(shown_TB, documents.offsets[rows_B] + step_T1, 0)
        inputs_TB = documents.tokens[place_TB].long() * shown_TB
        answer_TB = step_T1 == lengths_B - 1
        return Batch(
            inputs=inputs_TB,
            targets=documents.labels[rows_B] * answer_TB,
            lengths=lengths_B,
            answer_mask=answer_TB,
            refresh_mask=inputs_TB > UNKNOWN,
            refresh_target=inputs_TB,
            refresh_kind="tokens",
            first_answer_step=int(lengths_B.min()) - 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of documents."""
        return scoring.divisor(batch.answer_mask, 1, "word")

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``accuracy``: documents whose likeliest class is right; ``cross_entropy`` in nats for each document."""
        scoring.require_output(output_TBO, batch, self.output_size)
        scores = scoring.class_scores(output_TBO, batch.targets, batch.answer_mask)
        return {"accuracy": scores["sequence_accuracy"], "cross_entropy": scores["cross_entropy"]}


def _split(corpus: Corpus, holdout: float) -> dict[str, Tensor]:
    """The documents of each split, by their numbers."""
    if not 0 <= holdout < corpus.train or (holdout > 1 and holdout != int(holdout)):
        raise OptionError(
            f"holdout must be a share below 1, or a number of documents below {corpus.train:,}, got {holdout}."
        )
    count = int(holdout * corpus.train if holdout < 1 else holdout)
    order = torch.randperm(corpus.train, generator=random_stream(0, "validation", 0))
    validation, train = order.split([count, corpus.train - count])
    return dict(zip(SPLITS, (train, validation, torch.arange(corpus.train, len(corpus.documents))), strict=True))


class AGNews(DocumentTask):
    """News in four classes: title and description."""

    data_set = "ag_news"
    classes = TABLES[data_set].classes
    references = ("zhang",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW, "region_embedding": region_embedding(256)}


class IMDb(DocumentTask):
    """Film reviews, negative or positive."""

    data_set = "imdb"
    classes = CLASSES
    references = ("imdb",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW}

    def load(self, data: str | None, allow_partial: bool, min_documents: int) -> Corpus:
        """See `DocumentTask.load`."""
        return load_imdb(data, allow_partial, min_documents)


class YelpPolarity(DocumentTask):
    """Reviews of businesses, negative (1 or 2 stars) or positive (3 or 4)."""

    data_set = "yelp_review_polarity"
    classes = TABLES[data_set].classes
    references = ("zhang",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW, "region_embedding": region_embedding(1024)}


class YelpFull(DocumentTask):
    """Reviews of businesses, by their number of stars."""

    data_set = "yelp_review_full"
    classes = TABLES[data_set].classes
    references = ("zhang",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW, "region_embedding": region_embedding(1024)}


class DBPedia(DocumentTask):
    """Things of 14 kinds: title and abstract of their article."""

    data_set = "dbpedia"
    classes = TABLES[data_set].classes
    references = ("zhang",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW, "region_embedding": region_embedding(256)}


class YahooAnswers(DocumentTask):
    """Questions in ten topics: title, text and best answer."""

    data_set = "yahoo_answers"
    classes = TABLES[data_set].classes
    references = ("zhang",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": UW, "region_embedding": region_embedding(1024)}
