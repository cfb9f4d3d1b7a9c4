from __future__ import annotations

import pytest
import torch

from torchmann.core import OptionError
from torchmann.training import clip_gradients


def parameters() -> list[torch.nn.Parameter]:
    """Gradients (3, 4) of norm 5, (12,) of norm 12, together of norm 13; and one parameter without a gradient."""
    made = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 1, 3)]
    made[0].grad, made[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    return made


@pytest.mark.parametrize(
    ("how", "want"),
    [
        ("none", [[3.0, 4.0], [12.0]]),
        ("value", [[3.0, 3.5], [3.5]]),
        ("tensor", [[3.0 * 0.7, 4.0 * 0.7], [3.5]]),
        ("global", [[3.0 * 3.5 / 13, 4.0 * 3.5 / 13], [12 * 3.5 / 13]]),
    ],
)
def test_gradients_are_limited_as_named(how: str, want: list[list[float]]) -> None:
    clipped = parameters()
    clip_gradients(clipped, how, 3.5)  # type: ignore[arg-type]
    for parameter, gradient in zip(clipped, want, strict=False):
        torch.testing.assert_close(parameter.grad, torch.tensor(gradient), rtol=1e-5, atol=1e-6)
    assert clipped[2].grad is None


@pytest.mark.parametrize("how", ["value", "tensor", "global"])
def test_gradients_within_the_limit_are_left_alone(how: str) -> None:
    clipped = parameters()
    clip_gradients(clipped, how, 100.0)  # type: ignore[arg-type]
    assert clipped[0].grad.tolist() == [3.0, 4.0] and clipped[1].grad.tolist() == [12.0]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(OptionError, match="unknown clipping 'globl': did you mean 'global'"):
        clip_gradients(parameters(), "globl", 1.0)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="must be above 0, got 0"):
        clip_gradients(parameters(), "value", 0)
