"""Models by name, and how one is fitted to the sizes of a task."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from torch import Tensor, nn

from torchmann.core.errors import OptionError, ShapeError, require_positive, unknown_name
from torchmann.engines import Recurrent
from torchmann.models.armin import ARMIN
from torchmann.models.awta import AwTA
from torchmann.models.dam import DAM
from torchmann.models.darmc import DARMC
from torchmann.models.dnc import DNC
from torchmann.models.ntm import NTM
from torchmann.models.plain import GRU, LSTM, RNN
from torchmann.models.rmc import RMC
from torchmann.models.sam import SAM
from torchmann.models.sdnc import SDNC
from torchmann.models.sentence_encoder import SentenceEncoder, SentenceStart
from torchmann.models.sequence import SequenceModel
from torchmann.models.structured_ntm import NTM1, NTM2, NTM3
from torchmann.models.tardis import TARDIS

MODELS: dict[str, type[Recurrent]] = {
    "armin": ARMIN,
    "awta": AwTA,
    "dam": DAM,
    "darmc": DARMC,
    "dnc": DNC,
    "gru": GRU,
    "lstm": LSTM,
    "ntm": NTM,
    "ntm1": NTM1,
    "ntm2": NTM2,
    "ntm3": NTM3,
    "rmc": RMC,
    "rnn": RNN,
    "tardis": TARDIS,
    "sam": SAM,
    "sdnc": SDNC,
}


def names() -> list[str]:
    """The names that `build` and the command line know."""
    return sorted(MODELS)


def model_named(name: str) -> type[Recurrent]:
    """The class of that name.

    Raises:
        OptionError: no such model; the message suggests the nearest name.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    return MODELS[name]


def build(
    name: str,
    *,
    input_kind: Literal["vector", "tokens", "sentences"],
    input_size: int,
    output_size: int,
    embedding_size: int = 64,
    word_vectors: Tensor | None = None,
    freeze_embedding: bool = False,
    sentence_length: int | None = None,
    sentence_start: SentenceStart = "sum",
    **options: Any,
) -> SequenceModel:
    """A model for given sizes: an encoder of words, the body, and a head where the body has no readout of its own.

    Args:
        name: one of `names`.
        input_kind: what a step of the input is.
        input_size: features of a vector, or size of the vocabulary.
        output_size: features that the task scores.
        embedding_size: of tokens, and of the words in sentences.
        word_vectors: ``[input_size, D]``: what the embedding starts from; its size is D then.
        freeze_embedding: do not train it.
        sentence_length: words to which every sentence is padded; only for ``"sentences"``, which need it.
        sentence_start: what a sentence's vector begins as, of its words' vectors; see `SentenceEncoder`.
        options: keywords of the model's class, e.g. ``hidden_size``.

    Raises:
        OptionError: unknown `name` or a bad option.
        ShapeError: `word_vectors` of another vocabulary.
    """
    make: Any = model_named(name)  # each class has its own keywords
    at = {name: options[name] for name in ("device", "dtype") if name in options}
    encoder: Any = nn.Identity()
    if input_kind != "vector":
        embedding_size = embedding_size if word_vectors is None else word_vectors.shape[-1]
        encoder = _embedding(input_size, embedding_size, word_vectors, **at).requires_grad_(not freeze_embedding)
    if input_kind == "sentences":
        if sentence_length is None:
            raise OptionError("input_kind='sentences' needs sentence_length, the words of every padded sentence.")
        encoder = SentenceEncoder(encoder, sentence_length, sentence_start)
    if "output_size" in inspect.signature(make).parameters:
        options["output_size"] = output_size
    body: Any = make(input_size if input_kind == "vector" else embedding_size, **options)
    head = nn.Identity() if "output_size" in options else nn.Linear(body.output_size, output_size, **at)
    model = SequenceModel(encoder, body, head)
    sizes = {"input_kind": input_kind, "input_size": input_size, "output_size": output_size}
    words = {"embedding_size": embedding_size, "freeze_embedding": freeze_embedding}
    sentences = {"sentence_length": sentence_length, "sentence_start": sentence_start}
    model.config = body.config | sizes | {"name": name} | words | sentences
    return model


def _embedding(count: int, size: int, vectors: Tensor | None, **at: Any) -> nn.Embedding:
    require_positive(embedding_size=size)
    if vectors is not None and vectors.shape != (count, size):
        raise ShapeError(f"word_vectors must be [input_size, D] = [{count}, D], got {list(vectors.shape)}.")
    embedding = nn.Embedding(count, size, **at)
    nn.init.xavier_uniform_(embedding.weight)
    if vectors is not None:
        embedding.weight.data.copy_(vectors)
    return embedding
