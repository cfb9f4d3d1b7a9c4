"""Every equation's gradient against finite differences, in float64 and away from ties; and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import torchmann as tm
import torchmann.functional as F
from torchmann.core import differentiable_form
from torchmann.engines.conformance import tie_free_state

B, R, V, N, W = 2, 3, 2, 5, 4


def uniform(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, requires_grad=True)


EQUATIONS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "cosine": (F.cosine, [(B, R, W), (B, N, W)]),
    "cosine_clamped": (F.cosine_clamped, [(B, R, W), (B, N, W)]),
    "cosine_outside": (F.cosine_outside, [(B, R, W), (B, N, W)]),
    "cosine_per_width": (F.cosine_per_width, [(B, R, W), (B, N, W)]),
    "cosine_product": (F.cosine_product, [(B, R, W), (B, N, W)]),
    "content_weighting": (F.content_weighting, [(B, R, N), (B, R)]),
    "interpolation": (F.interpolation, [(B, R, N), (B, R, N), (B, R)]),
    "circular_shift": (F.circular_shift, [(B, R, N), (B, R, 3)]),
    "sharpening": (F.sharpening, [(B, R, N), (B, R)]),
    "sharpening with epsilon": (partial(F.sharpening, epsilon=0.1), [(B, R, N), (B, R)]),
    "retention": (F.retention, [(B, R), (B, R, N)]),
    "usage": (F.usage, [(B, N), (B, V, N), (B, N)]),
    "sorted_allocation": (F.sorted_allocation, [(B, N)]),
    "softmax_allocation": (F.softmax_allocation, [(B, N), (B,)]),
    "temporal_link": (F.temporal_link, [(B, V, N, N), (B, V, N), (B, V, N)]),
    "precedence": (F.precedence, [(B, V, N), (B, V, N)]),
    "forward_weighting": (F.forward_weighting, [(B, V, N, N), (B, R, N)]),
    "backward_weighting": (F.backward_weighting, [(B, V, N, N), (B, R, N)]),
    "dot_product_attention": (F.dot_product_attention, [(B, R, N, W), (B, R, V, W), (B, R, V, 2)]),
    "slot_gates": (
        lambda x, memory, i, f: F.slot_gates(x, memory, input_bias=i, forget_bias=f),
        [(B, 2 * W), (B, N, 2 * W), (), ()],
    ),
    "gated_update": (F.gated_update, [(B, N, W), (B, N, W), (B, N, W), (B, N, 1)]),
    "read": (F.read, [(B, N, W), (B, R, N)]),
    "erase_and_add": (F.erase_and_add, [(B, N, W), (B, V, N), (B, V, W), (B, V, W)]),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_gradient_of_equation(name: str) -> None:
    torch.manual_seed(0)
    equation, shapes = EQUATIONS[name]
    assert gradcheck(equation, [uniform(*shape) for shape in shapes])


@pytest.mark.parametrize(
    "make",
    [
        lambda: tm.LSTM(2, 3),
        lambda: tm.NTM(2, 3, slots=4, width=3),
        lambda: tm.DNC(2, 3, slots=4, width=3),
        lambda: tm.SDNC(2, 3, slots=4, width=3, nearest=2, link_entries=2),
        lambda: tm.RMC(2, slots=3, width=4, heads=2),
    ],
    ids=["lstm", "ntm", "dnc", "sdnc", "rmc"],
)
def test_second_derivatives_under_the_eager_engine(make: Callable[[], tm.Recurrent]) -> None:
    torch.manual_seed(0)
    model = make().double().eval()
    state = tie_free_state(model.cell, 2)
    x = torch.randn(2, 2, 2, dtype=torch.float64, requires_grad=True)
    with differentiable_form():
        assert gradgradcheck(lambda x: model(x, state)[0], [x], fast_mode=True, atol=1e-4)
