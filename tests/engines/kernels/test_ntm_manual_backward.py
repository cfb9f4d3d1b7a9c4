"""The NTM's backward by hand is that of autograd, for each equation and for whole sequences under the eager engine."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engines.kernels.comparison import check_by_hand, check_sequence
from torch import Tensor

import torchmann as tm
from torchmann import functional as F
from torchmann.engines.kernels.manual import look_up_backward
from torchmann.engines.kernels.ntm import manual_backward as manual
from torchmann.memories import StructuredNTMMemory

B, H, N, W = 3, 2, 6, 4


def test_looking_up() -> None:
    def looked_up(key: Tensor, strength: Tensor, memory: Tensor) -> Tensor:
        return F.content_weighting(F.cosine(key, memory), strength)

    check_by_hand(looked_up, lambda a, w, d: look_up_backward(*a, w, d), (B, H, W), (B, H), (B, N, W))


def test_interpolation() -> None:
    check_by_hand(F.interpolation, lambda a, _, d: manual.interpolation_backward(*a, d), (B, H, N), (B, H, N), (B, H))


@pytest.mark.parametrize("taps", [1, 3, 5, 19])
def test_circular_shift(taps: int) -> None:
    check_by_hand(F.circular_shift, lambda a, _, d: manual.circular_shift_backward(*a, d), (B, H, N), (B, H, taps))


@pytest.mark.parametrize("epsilon", [0.0, 1e-16, 0.1])
def test_sharpening(epsilon: float) -> None:
    def sharpened(weights: Tensor, gamma: Tensor) -> Tensor:
        return F.sharpening(weights - 0.1, gamma, epsilon)  # some below zero

    def backward(arguments: list[Tensor], weights: Tensor, d: Tensor) -> tuple[Tensor, ...]:
        return manual.sharpening_backward(arguments[0] - 0.1, arguments[1], weights, d)

    check_by_hand(sharpened, backward, (B, H, N), (B, H))


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_erase_and_add(heads: int) -> None:
    check_by_hand(
        F.erase_and_add,
        lambda a, _, d: manual.erase_and_add_backward(*a, d),
        *((B, N, W), (B, heads, N), (B, heads, W), (B, heads, W)),
    )


def test_mixing() -> None:
    def mixed(own: Tensor, above: Tensor, mixing: Tensor) -> Tensor:
        return mixing[0] * own + mixing[1] * above

    check_by_hand(mixed, lambda a, _, d: manual.mixing_backward(a[2], a[0], a[1], d), (B, N, W), (B, N, W), (2,))


NTM: dict[str, Any] = {"reads": 2, "writes": 3}
MODELS: dict[str, Any] = {
    "read first": lambda **at: tm.NTM(3, 5, **NTM, **at),
    "write first, tanh": lambda **at: tm.NTM(3, 5, **NTM, order="write_first", key_activation="tanh", **at),
    "interleaved": lambda **at: tm.NTM(3, 5, **NTM, order="interleaved", sharpening_epsilon=1e-3, **at),
    "coupled": lambda **at: tm.NTM(3, 5, **NTM, erase="coupled", **at),
    "ntm1": lambda **at: tm.NTM1(3, 5, **at),
    "ntm2": lambda **at: tm.NTM2(3, 5, levels=3, **at),
    "ntm2, shared heads": lambda **at: tm.NTM2(3, 5, shared_heads=True, **at),
}


@pytest.mark.parametrize("name", MODELS)
def test_whole_sequence(name: str) -> None:
    model = MODELS[name](slots=N, width=W, engine="eager").double()

    def leaves(d: manual.MemoryValues) -> dict[str, Tensor]:
        memory = d.memory_BKNW if isinstance(model.cell.memory, StructuredNTMMemory) else d.memory_BKNW[:, 0]
        return {"memory": memory, "read_weights": d.read_BRN, "write_weights": d.write_BVN}

    check_sequence(model, manual, leaves)
