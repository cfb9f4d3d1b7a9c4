"""The plain networks' keywords, and `nn.LSTM`'s arguments that every model refuses with the way to go."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchmann as tm
from torchmann.core import OptionError

MODELS: dict[str, Any] = {
    "rnn": lambda **options: tm.RNN(3, 4, **options),
    "gru": lambda **options: tm.GRU(3, 4, **options),
    "lstm": lambda **options: tm.LSTM(3, 4, **options),
    "ntm": lambda **options: tm.NTM(3, 4, slots=5, width=2, **options),
    "dnc": lambda **options: tm.DNC(3, 4, slots=5, width=2, **options),
    "sam": lambda **options: tm.SAM(3, 4, slots=5, width=2, **options),
    "sdnc": lambda **options: tm.SDNC(3, 4, slots=8, width=2, **options),
    "rmc": lambda **options: tm.RMC(3, slots=5, width=8, **options),
    "darmc": lambda **options: tm.DARMC(3, slots=5, width=8, **options),
}
REFUSED = {
    "num_layers": (2, r"num_layers=: stack cells: torchmann\.Recurrent\(torchmann\.Stacked"),
    "dropout": (0.5, r"dropout=: torchmann\.Stacked\(cells, dropout=\.\.\.\)"),
    "bidirectional": (True, r"bidirectional=: run a second model over input\.flip\(0\)"),
    "proj_size": (2, r"proj_size=: pass output_size="),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("argument", REFUSED)
def test_argument_of_nn_lstm_is_refused_with_the_alternative(model: str, argument: str) -> None:
    value, message = REFUSED[argument]
    with pytest.raises(TypeError, match=f"takes no {message}"):
        MODELS[model](**{argument: value})


def test_an_argument_that_nobody_knows_is_pythons_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'hiden'"):
        tm.LSTM(3, 4, hiden=1)


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_bias_layout_dtype_and_device(model: str) -> None:
    make = MODELS[model]
    assert any("bias" in name for name, _ in make().named_parameters())
    assert not any("bias" in name for name, _ in make(bias=False).named_parameters())
    assert make(batch_first=True)(torch.randn(2, 5, 3))[0].shape == (2, 5, 4)
    assert make(dtype=torch.float64)(torch.randn(5, 2, 3).double())[0].dtype == torch.float64
    assert make(device="meta")(torch.randn(5, 2, 3, device="meta"))[0].is_meta


def test_own_keywords() -> None:
    x = 3 * torch.randn(5, 2, 3)
    assert tm.RNN(3, 4, nonlinearity="relu")(x)[0].min() >= 0 > tm.RNN(3, 4)(x)[0].min()
    assert tm.LSTM(3, 4, forget_bias=2.0).cell.bias.view(4, 4)[1].tolist() == [2] * 4
    after, before = tm.GRU(3, 4, bias=False), tm.GRU(3, 4, bias=False, reset_after=False)
    before.load_state_dict(after.state_dict())
    assert not torch.allclose(after(x)[0], before(x)[0])


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_bad_sizes_and_engines_are_refused(model: str) -> None:
    with pytest.raises(OptionError, match="unknown engine 'fast'"):
        MODELS[model](engine="fast")
    with pytest.raises(OptionError, match="hidden_size must be an integer of at least 1"):
        type(MODELS[model]())(3, 0)
