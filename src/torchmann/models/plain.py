"""The plain recurrent networks: RNN, GRU, LSTM over their cells."""

from __future__ import annotations

from typing import Any

import torch

from torchmann.cells import ElmanCell, GRUCell, LSTMCell
from torchmann.engines import Recurrent
from torchmann.models.contract import refuses_lstm_arguments


class RNN(Recurrent):
    """The Elman network, in place of `torch.nn.RNN`.

    Args:
        input_size: features of an input step.
        hidden_size: features of the state and of an output step.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: use a bias.
        batch_first: input and output are ``[batch, time, features]``.
        engine: how the cell is unrolled.
        device: of the parameters.
        dtype: of the parameters.
    """

    @refuses_lstm_arguments
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = ElmanCell(input_size, hidden_size, nonlinearity=nonlinearity, bias=bias, device=device, dtype=dtype)
        super().__init__(cell, batch_first=batch_first, engine=engine)


class GRU(Recurrent):
    """The gated recurrent unit, in place of `torch.nn.GRU`.

    Args:
        input_size: features of an input step.
        hidden_size: features of the state and of an output step.
        bias: use biases.
        reset_after: apply the reset gate after the matrix product (as torch does); or before it, with one bias.
        batch_first: input and output are ``[batch, time, features]``.
        engine: how the cell is unrolled.
        device: of the parameters.
        dtype: of the parameters.
    """

    @refuses_lstm_arguments
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        reset_after: bool = True,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = GRUCell(input_size, hidden_size, bias=bias, reset_after=reset_after, device=device, dtype=dtype)
        super().__init__(cell, batch_first=batch_first, engine=engine)


class LSTM(Recurrent):
    """Long short-term memory, in place of `torch.nn.LSTM`.

    Args:
        input_size: features of an input step.
        hidden_size: features of the state and of an output step.
        bias: use a bias.
        forget_bias: where the bias of the forget gate starts.
        batch_first: input and output are ``[batch, time, features]``.
        engine: how the cell is unrolled.
        device: of the parameters.
        dtype: of the parameters.
    """

    @refuses_lstm_arguments
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float = 1.0,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = LSTMCell(input_size, hidden_size, bias=bias, forget_bias=forget_bias, device=device, dtype=dtype)
        super().__init__(cell, batch_first=batch_first, engine=engine)
