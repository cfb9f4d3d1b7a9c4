"""Models by name, and how one is fitted to the sizes of a task."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from torch import nn

from torchmann.core.errors import require_positive, unknown_name
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
    input_kind: Literal["vector", "tokens"],
    input_size: int,
    output_size: int,
    embedding_size: int = 64,
    **options: Any,
) -> SequenceModel:
    """A model for given sizes: an embedding for tokens, the body, and a head where the body has no readout of its own.

    Args:
        name: one of `names`.
        input_kind: what a step of the input is.
        input_size: features of a vector, or size of the vocabulary.
        output_size: features that the task scores.
        embedding_size: of tokens.
        options: keywords of the model's class, e.g. ``hidden_size``.

    Raises:
        OptionError: unknown `name` or a bad option.
    """
    make: Any = model_named(name)  # each class has its own keywords
    at = {name: options[name] for name in ("device", "dtype") if name in options}
    encoder: nn.Module = nn.Identity()
    if input_kind == "tokens":
        require_positive(embedding_size=embedding_size)
        encoder = nn.Embedding(input_size, embedding_size, **at)
        nn.init.xavier_uniform_(encoder.weight)
    if "output_size" in inspect.signature(make).parameters:
        options["output_size"] = output_size
    body: Any = make(embedding_size if input_kind == "tokens" else input_size, **options)
    head = nn.Identity() if "output_size" in options else nn.Linear(body.output_size, output_size, **at)
    model = SequenceModel(encoder, body, head)
    sizes = {"input_kind": input_kind, "input_size": input_size, "output_size": output_size}
    model.config = body.config | sizes | {"name": name, "embedding_size": embedding_size}
    return model
