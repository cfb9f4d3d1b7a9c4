"""What `torch.nn.LSTM` offers and a torchmann model does another way: refused by name, with the alternative."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

Constructor = TypeVar("Constructor", bound=Callable[..., None])

_ALTERNATIVES = {
    "num_layers": "stack cells: torchmann.Recurrent(torchmann.Stacked([cell, cell]))",
    "dropout": "torchmann.Stacked(cells, dropout=...) drops between layers",
    "bidirectional": "run a second model over input.flip(0) and concatenate the outputs",
    "proj_size": "pass output_size=, or put a torch.nn.Linear behind the model",
}


def refuses_lstm_arguments(constructor: Constructor) -> Constructor:
    """Decorate ``__init__`` so that arguments of `torch.nn.LSTM` that it lacks raise a TypeError with the way to go."""

    @functools.wraps(constructor)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        for name in _ALTERNATIVES.keys() & options.keys():
            raise TypeError(f"{type(self).__name__} takes no {name}=: {_ALTERNATIVES[name]}.")
        constructor(self, *args, **options)

    return cast(Constructor, checked)
