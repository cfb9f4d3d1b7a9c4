"""Where the leaves of a state start."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torchmann.core.errors import OptionError
from torchmann.core.start import Start


def test_constant_is_no_parameter_and_is_not_stored() -> None:
    start = Start((2, 3), value=0.5)
    assert torch.equal(start(4), torch.full((4, 2, 3), 0.5))
    assert not list(start.parameters()) and not start.state_dict()


@pytest.mark.parametrize(
    ("kind", "squash"),
    [("learned", lambda v: v), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("softmax", lambda v: v.softmax(-1))],
)
def test_learned_kinds_squash_a_parameter(kind: Any, squash: Any) -> None:
    value = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0]])
    start = Start((2, 3), kind, value=value)
    torch.testing.assert_close(start(4), squash(value).expand(4, 2, 3))
    (start(4) * torch.arange(24.0).view(4, 2, 3)).sum().backward()
    assert start.weight.grad is not None and start.weight.grad.any()


def test_a_tensor_is_where_every_row_of_the_shape_starts() -> None:
    start = Start((2, 3), "learned", value=torch.tensor([3.0, 2.0, 1.0]))
    assert start(1)[0].tolist() == [[3, 2, 1], [3, 2, 1]]
    assert Start((2,), "learned", value=0.25).weight.tolist() == [0.25, 0.25]


def test_random_is_drawn_once_within_its_spread_and_stored() -> None:
    start = Start((50,), "random", spread=0.1)
    assert torch.equal(start(1), start(1)) and torch.equal(start(2)[0], start(2)[1])
    assert 0.05 < start(1).abs().max() <= 0.1
    assert not list(start.parameters()) and list(start.state_dict()) == ["drawn"]
    assert not torch.equal(start(1), Start((50,), "random", spread=0.1)(1))


@pytest.mark.parametrize("kind", ["constant", "learned", "random"])
def test_dtype_and_device_follow_the_module(kind: Any) -> None:
    start = Start((3,), kind, dtype=torch.float64)
    assert start(2).dtype == torch.float64
    assert start.float()(2).dtype == torch.float32
    assert start.to("meta")(2).is_meta
    assert Start((3,), kind, device="meta")(2).is_meta


def test_no_row_is_a_batch_too() -> None:
    assert Start((3,))(0).shape == Start((3,), "learned")(0).shape == (0, 3)


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown kind of start 'learnt': did you mean 'learned'"):
        Start((3,), "learnt")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a constant start takes a number"):
        Start((3,), value=torch.zeros(3))
