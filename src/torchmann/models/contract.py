"""What the models share as stand-ins for `torch.nn.LSTM`: arguments refused by name, and keywords that are kept."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

Constructor = TypeVar("Constructor", bound=Callable[..., None])

_ALTERNATIVES = {
    "num_layers": "stack cells: torchmann.Recurrent(torchmann.Stacked([cell, cell]))",
    "dropout": "torchmann.Stacked(cells, dropout=...) drops between layers",
    "bidirectional": "run a second model over input.flip(0) and concatenate the outputs",
    "proj_size": "pass output_size=, or put a torch.nn.Linear behind the model",
}

_NOT_KEPT = {"self", "preset", "engine", "device", "dtype"}
"""A preset is kept as what it stands for; the rest says where and how a model runs, not what it is."""


def refuses_lstm_arguments(constructor: Constructor) -> Constructor:
    """Decorate ``__init__`` so that arguments of `torch.nn.LSTM` that it lacks raise a TypeError with the way to go.

    The model keeps all others as its ``config``, with those that a preset or a default has filled in.
    """

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        for name in _ALTERNATIVES.keys() & options.keys():
            raise TypeError(f"{type(self).__name__} takes no {name}=: {_ALTERNATIVES[name]}.")
        constructor(self, *args, **options)
        self.config = _keywords(constructor, self, *args, **options)

    return cast(Constructor, checked)


def _keywords(constructor: Callable[..., None], *args: Any, **options: Any) -> dict[str, Any]:
    """What a constructor was called with, by name and with its defaults, but for `_NOT_KEPT`."""
    bound = inspect.signature(constructor).bind(*args, **options)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name not in _NOT_KEPT}
