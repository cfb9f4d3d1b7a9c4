"""Controllers by name, as the memory-augmented models take them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torchmann.cells import ElmanCell, FeedForwardCell, GRUCell, LayerNormLSTMCell, LSTMCell, Stacked
from torchmann.core.cell import Controller
from torchmann.core.errors import require_positive, unknown_name
from torchmann.core.start import StartKind

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "lstm": LSTMCell,
    "layernorm_lstm": LayerNormLSTMCell,
    "layernorm_lstm_uw": partial(LayerNormLSTMCell, bias=False, carry="normalised", epsilon=1e-12),
    "gru": GRUCell,
    "rnn": ElmanCell,
    "feedforward": FeedForwardCell,
}


def make_controller(
    name: str,
    input_size: int,
    hidden_size: int,
    *,
    layers: int,
    clip: float | None,
    initial: StartKind,
    device: Any,
    dtype: Any,
) -> Controller:
    """A controller of `layers` layers.

    Args:
        name: one of `CONTROLLERS`.
        input_size: what the bottom layer takes: the input and the reads.
        hidden_size: of each layer.
        layers: how many.
        clip: of the state of LSTM controllers; the others stay in ±1 or keep no state, and ignore it.
        initial: where the state starts; a feed-forward controller has none and ignores it.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        OptionError: unknown name or a size below one.
    """
    if name not in CONTROLLERS:
        raise unknown_name("controller", name, CONTROLLERS)
    require_positive(layers=layers)
    make = CONTROLLERS[name]
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    if "lstm" in name:
        options["clip"] = clip
    if name != "feedforward":
        options["initial"] = initial
    cells = [make(input_size if layer == 0 else hidden_size, hidden_size, **options) for layer in range(layers)]
    return cells[0] if layers == 1 else Stacked(cells)
