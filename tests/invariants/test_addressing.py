"""Content and location addressing: weightings stay weightings, and each operation does what its equation says."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.invariants.strategies import tensors, weightings

from torchmann.functional import (
    circular_shift,
    content_weighting,
    cosine,
    interpolation,
    sharpening,
    similarity_named,
)
from torchmann.functional.content import SIMILARITIES

NAMES = st.sampled_from(sorted(SIMILARITIES))


def in_simplex(weights: torch.Tensor) -> bool:
    return bool((weights >= 0).all()) and bool(((weights.sum(-1) - 1).abs() < 1e-5).all())


@given(data=st.data(), slots=st.integers(1, 9), reach=st.integers(0, 3))
def test_circular_shift_is_the_sum_of_equation_8(data: st.DataObject, slots: int, reach: int) -> None:
    """Also where there are more taps than slots, and a tap wraps around more than once."""
    weights_BRN = data.draw(tensors(1, 2, slots, dtype=np.float64))
    shift_BRS = data.draw(tensors(1, 2, 2 * reach + 1, dtype=np.float64))
    expected = torch.zeros_like(weights_BRN)
    for head in range(2):
        for source in range(slots):
            for tap in range(-reach, reach + 1):
                moved = weights_BRN[0, head, source] * shift_BRS[0, head, tap + reach]
                expected[0, head, (source + tap) % slots] += moved
    torch.testing.assert_close(circular_shift(weights_BRN, shift_BRS), expected)


@given(data=st.data(), slots=st.integers(1, 12), reach=st.integers(0, 2))
def test_one_hot_shift_rotates(data: st.DataObject, slots: int, reach: int) -> None:
    weights_BRN = data.draw(weightings(2, 1, slots))
    tap = data.draw(st.integers(-reach, reach))
    shift_BRS = torch.zeros(2, 1, 2 * reach + 1)
    shift_BRS[..., tap + reach] = 1
    torch.testing.assert_close(circular_shift(weights_BRN, shift_BRS), weights_BRN.roll(tap, -1))


@given(
    data=st.data(),
    slots=st.integers(1, 12),
    gamma=st.one_of(st.floats(1, 30), st.sampled_from([1.0, 1e3, 1e6])),
)
def test_sharpening_keeps_the_simplex(data: st.DataObject, slots: int, gamma: float) -> None:
    weights_BRN = data.draw(weightings(2, 1, slots)).requires_grad_()
    sharp_BRN = sharpening(weights_BRN, torch.full((2, 1), gamma))
    assert in_simplex(sharp_BRN)
    (gradient,) = torch.autograd.grad(sharp_BRN.square().sum(), weights_BRN)
    assert gradient.isfinite().all()


@given(
    data=st.data(),
    slots=st.integers(2, 12),
    gamma=st.floats(1, 20),
    epsilon=st.sampled_from([0.0, 1e-16, 1e-3, 2.0]),
)
def test_sharpening_is_equation_9(data: st.DataObject, slots: int, gamma: float, epsilon: float) -> None:
    weights_BRN = data.draw(tensors(2, 1, slots, low=0.01, dtype=np.float64))
    powers_BRN = weights_BRN**gamma
    expected = powers_BRN / (powers_BRN.sum(-1, keepdim=True) + epsilon)
    actual = sharpening(weights_BRN, torch.full((2, 1), gamma, dtype=torch.float64), epsilon)
    torch.testing.assert_close(actual, expected, atol=1e-8, rtol=1e-8)


@given(data=st.data(), slots=st.integers(1, 8), strength=st.floats(0, 1e4))
def test_content_weighting_is_in_the_simplex(data: st.DataObject, slots: int, strength: float) -> None:
    similarity_BRN = data.draw(tensors(2, 2, slots, low=-1))
    weights_BRN = content_weighting(similarity_BRN, torch.full((2, 2), strength))
    assert in_simplex(weights_BRN)
    if strength == 0:
        torch.testing.assert_close(weights_BRN, torch.full_like(weights_BRN, 1 / slots))


@given(slots=st.integers(2, 10), width=st.integers(3, 8), seed=st.integers(0, 2**32), name=NAMES)
def test_a_strong_key_finds_its_slot(slots: int, width: int, seed: int, name: str) -> None:
    memory_BNW = torch.randn(1, slots, width, generator=torch.Generator().manual_seed(seed))
    wanted = seed % slots
    key_BRW = 3 * memory_BNW[:, wanted : wanted + 1]  # the length of a key does not matter
    weights_BRN = content_weighting(similarity_named(name)(key_BRW, memory_BNW, 1e-6), torch.full((1, 1), 1e5))
    assert weights_BRN[0, 0].argmax() == wanted


@given(data=st.data(), name=NAMES)
def test_similarities_are_cosines(data: st.DataObject, name: str) -> None:
    """At vectors well away from zero all forms agree; everywhere they stay within ±1."""
    key_BRW = data.draw(tensors(1, 2, 4, low=-3, high=3))
    memory_BNW = data.draw(tensors(1, 5, 4, low=-3, high=3))
    similarity_BRN = similarity_named(name)(key_BRW, memory_BNW, 1e-6)
    if name == "cosine_per_width":
        similarity_BRN = similarity_BRN * key_BRW.shape[-1]
    assert (similarity_BRN.abs() <= 1 + 1e-5).all()
    expected = torch.nn.functional.cosine_similarity(key_BRW.unsqueeze(2), memory_BNW.unsqueeze(1), dim=-1)
    long_enough = (key_BRW.norm(dim=-1).unsqueeze(2) > 0.5) & (memory_BNW.norm(dim=-1).unsqueeze(1) > 0.5)
    torch.testing.assert_close(similarity_BRN[long_enough], expected[long_enough], atol=1e-4, rtol=1e-4)


@given(data=st.data())
def test_default_similarity_has_a_bounded_gradient_at_zero_memory(data: st.DataObject) -> None:
    """|d cos / d m| is at most 1 / sqrt(1e-6), for any key, even a key of zeros."""
    key_BRW = data.draw(tensors(1, 2, 4, low=-100, high=100)).requires_grad_()
    memory_BNW = torch.zeros(1, 3, 4, requires_grad=True)
    similarity_BRN = cosine(key_BRW, memory_BNW)
    for head in range(2):
        gradients = torch.autograd.grad(similarity_BRN[0, head, 0], (memory_BNW, key_BRW), retain_graph=True)
        assert all(gradient.norm() <= 1e3 * (1 + 1e-5) for gradient in gradients)


@given(data=st.data(), slots=st.integers(1, 8), gate=st.sampled_from([0.0, 0.3, 1.0]))
def test_interpolation_is_equation_7(data: st.DataObject, slots: int, gate: float) -> None:
    content, previous = data.draw(weightings(2, 1, slots)), data.draw(weightings(2, 1, slots))
    expected = gate * content + (1 - gate) * previous
    torch.testing.assert_close(interpolation(content, previous, torch.full((2, 1), gate)), expected)
