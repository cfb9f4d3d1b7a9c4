"""Models by name, and the sequence model around them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import torchmann as tm
from torchmann.core import OptionError, ShapeError
from torchmann.models import build, names
from torchmann.models.registry import model_named

OPTIONS: dict[str, dict[str, Any]] = {
    "dnc": {"hidden_size": 8, "slots": 5, "width": 3},
    "ntm": {"hidden_size": 8, "slots": 5, "width": 3},
    "ntm1": {"hidden_size": 8, "slots": 5, "width": 3},
    "ntm2": {"hidden_size": 8, "slots": 5, "width": 3},
    "ntm3": {"hidden_size": 8, "slots": 5, "width": 3},
    "dam": {"hidden_size": 8, "slots": 5, "width": 3},
    "sam": {"hidden_size": 8, "slots": 5, "width": 3},
    "sdnc": {"hidden_size": 8, "slots": 8, "width": 3},
    "rmc": {"slots": 5, "width": 8},
    "darmc": {"slots": 5, "width": 8},
    "armin": {"hidden_size": 8, "slots": 5, "width": 3},
    "awta": {"hidden_size": 8, "slots": 5},
    "tardis": {"hidden_size": 8, "slots": 5, "width": 3},
    "lstm": {"hidden_size": 8},
    "gru": {"hidden_size": 8},
    "rnn": {"hidden_size": 8},
}


def test_names_are_those_of_the_public_classes() -> None:
    assert names() == sorted(OPTIONS)
    public = {name.lower(): getattr(tm, name) for name in tm.__all__}
    assert all(model_named(name) is public[name] for name in names())


@pytest.mark.parametrize(("given", "nearest"), [("dcn", "dnc"), ("LSTM", "lstm"), ("ntmm", "ntm")])
def test_unknown_model_suggests_the_nearest(given: str, nearest: str) -> None:
    with pytest.raises(OptionError, match=f"unknown model '{given}': did you mean '{nearest}'.*Known: .*dam, .*dnc"):
        build(given, input_kind="vector", input_size=3, output_size=2)


@pytest.mark.parametrize("name", OPTIONS)
def test_vectors_go_in_as_they_are(name: str) -> None:
    model = build(name, input_kind="vector", input_size=3, output_size=2, **OPTIONS[name]).eval()
    x = torch.randn(6, 4, 3)
    output, state = model(x)
    assert output.shape == (6, 4, 2) and isinstance(model.encoder, nn.Identity)
    body_output, _ = model.body(x)
    torch.testing.assert_close(model.head(body_output), output)


@pytest.mark.parametrize("name", OPTIONS)
def test_tokens_are_embedded(name: str) -> None:
    model = build(name, input_kind="tokens", input_size=11, output_size=7, embedding_size=5, **OPTIONS[name])
    tokens = torch.randint(11, (6, 4))
    output, _ = model(tokens)
    assert output.shape == (6, 4, 7) and model.encoder.weight.shape == (11, 5) and model.body.input_size == 5
    with pytest.raises(ShapeError, match=r"token numbers \[T, B\].*float32.*input_kind='vector'"):
        model(torch.randn(6, 4, 5))


@pytest.mark.parametrize("name", OPTIONS)
def test_a_body_with_a_readout_needs_no_head(name: str) -> None:
    model = build(name, input_kind="vector", input_size=3, output_size=2, **OPTIONS[name])
    assert isinstance(model.head, nn.Identity) == (name not in ("lstm", "gru", "rnn"))


def test_state_and_keywords_reach_the_body() -> None:
    model = build("dnc", input_kind="vector", input_size=3, output_size=2, **OPTIONS["dnc"])
    x, lengths = torch.randn(6, 2, 3), [3, 6]
    output, state = model(x, lengths=lengths)
    expected, expected_state = model.body(x, lengths=lengths)
    torch.testing.assert_close(output, expected)
    first, carried = model(x[:2])
    second, _ = model(x[2:], carried, start=2)
    torch.testing.assert_close(torch.cat([first, second]), model(x)[0])


def test_an_option_of_another_model_is_refused() -> None:
    with pytest.raises(TypeError, match="slots"):
        build("lstm", input_kind="vector", input_size=3, output_size=2, hidden_size=4, slots=5)


def test_all_parts_are_of_the_dtype_that_is_asked_for() -> None:
    sizes = {"input_size": 3, "output_size": 2, "hidden_size": 4, "dtype": torch.float64}
    model = build("lstm", input_kind="tokens", **sizes)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert model(torch.tensor([[0], [2]]))[0].dtype == torch.float64
