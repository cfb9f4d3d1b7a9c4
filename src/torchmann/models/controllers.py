"""Controllers by name, as the memory-augmented models take them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torchmann.cells import (
    ARMINCell,
    ElmanCell,
    FeedForwardCell,
    GRUCell,
    LayerNormLSTMCell,
    LSTMCell,
    SkipStacked,
    Stacked,
    TARDISCell,
)
from torchmann.core.cell import Controller
from torchmann.core.errors import require_positive, unknown_name
from torchmann.core.start import StartKind

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "lstm": LSTMCell,
    "layernorm_lstm": LayerNormLSTMCell,
    "layernorm_lstm_uw": partial(LayerNormLSTMCell, bias=False, carry="normalised", epsilon=1e-12),
    "gru": GRUCell,
    "gru_reset_before": partial(GRUCell, reset_after=False),
    "skip_lstm": LSTMCell,  # layers of it in a SkipStacked
    "rnn": ElmanCell,
    "feedforward": FeedForwardCell,
    "armin": ARMINCell,
    "tardis": TARDISCell,
}


def make_controller(
    name: str,
    input_size: int,
    hidden_size: int,
    *,
    layers: int,
    read_size: int = 0,
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
        read_size: how many of the last features of the input were read; ARMIN's and TARDIS's cells gate them.
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
    stack = SkipStacked if name == "skip_lstm" else Stacked
    cells: list[Controller] = []
    for _ in range(layers):
        below = cells[-1].output_size if cells else 0
        width = stack.layer_input_size(input_size, below) if cells else input_size
        if name in ("armin", "tardis"):  # ARMIN's shows its reads behind its hidden vector, so a layer above gates them
            options["read_size"] = below - hidden_size if cells else read_size
        cells.append(make(width, hidden_size, **options))
    return cells[0] if layers == 1 else stack(cells)
