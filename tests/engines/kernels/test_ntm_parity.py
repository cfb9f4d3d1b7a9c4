"""The fused kernel gives what the eager engine gives for NTMs: outputs, final states, every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.kernels.comparison import assert_parity, needs_kernel, random_state
from torch import nn

import torchmann as tm
from torchmann.cells import ElmanCell, MemoryAugmentedCell
from torchmann.memories import NTMMemory, StructuredNTMMemory

pytestmark = needs_kernel

SIZES: dict[str, Any] = {"slots": 7, "width": 4}
TWO: dict[str, Any] = {"reads": 2, "writes": 2}


def ntm(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.NTM(3, 5, **{**SIZES, **options})


def plain() -> tm.Recurrent:
    """No feedback, no bias."""
    controller = ElmanCell(3, 5, nonlinearity="relu", bias=False)
    return tm.Recurrent(MemoryAugmentedCell(controller, NTMMemory(7, 4), feedback=False))


def three_levels() -> tm.Recurrent:
    """Levels of which only the first is written, all sharing a mixture that is not trained."""
    memory = StructuredNTMMemory(7, 4, levels=3, written="first", trained=False, reads=2, erase="coupled")
    return tm.Recurrent(MemoryAugmentedCell(tm.cells.LSTMCell(3 + 8, 5), memory))


MODELS: dict[str, Callable[[], tm.Recurrent]] = {
    "ntm": ntm(),
    "two heads each": ntm(**TWO),
    "more reads than writes": ntm(reads=3, writes=2, order="interleaved"),
    "more writes than reads": ntm(reads=1, writes=3, order="interleaved"),
    "write first": ntm(**TWO, order="write_first"),
    "three write heads, coupled": ntm(writes=3, erase="coupled"),
    "coupled, tanh": ntm(erase="coupled", key_activation="tanh"),
    "no shift": ntm(shift_range=0),
    "far shifts": ntm(shift_range=9, reads=2),
    "sharpening with an epsilon": ntm(sharpening_epsilon=1e-16),
    "sharpening with a large epsilon": ntm(sharpening_epsilon=1e-2),
    "cosine outside": ntm(similarity="cosine_outside"),
    "cosine by the product of norms": ntm(similarity="cosine_product"),
    "cosine divided by the width": ntm(similarity="cosine_per_width"),
    "limits": ntm(clip=0.3),
    "heads from the cell": ntm(head_input="c", erase="coupled", order="interleaved", **TWO),
    "heads from a limited cell": ntm(head_input="c", clip=0.3, controller="layernorm_lstm_uw"),
    "heads from the cell, uniform writing": ntm(head_input="c", writing="uniform:3"),
    "layer-norm lstm of two layers": ntm(controller="layernorm_lstm", layers=2),
    "gru of three layers": ntm(controller="gru", layers=3),
    "elman": ntm(controller="rnn"),
    "relu without feedback": plain,
    "learned starts": ntm(preset="paper"),
    "released": ntm(preset="released"),
    "uniform writing": ntm(writing="uniform:3", **TWO),
    "random writing, interleaved": ntm(writing="random:0.5", order="interleaved", **TWO),
    "ntm1": lambda: tm.NTM1(3, 5, **SIZES),
    "ntm1 of the paper": lambda: tm.NTM1(3, 5, preset="paper", **SIZES),
    "ntm2": lambda: tm.NTM2(3, 5, **SIZES),
    "ntm2, shared heads": lambda: tm.NTM2(3, 5, levels=3, shared_heads=True, writing="uniform:2", **SIZES),
    "ntm3": lambda: tm.NTM3(3, 5, **SIZES),
    "ntm3 of the paper, three levels": lambda: tm.NTM3(3, 5, levels=3, preset="paper", **SIZES),
    "three levels": three_levels,
}


def rough(model: tm.Recurrent) -> tm.Recurrent:
    """Weights large enough that every gate does something."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_options(name: str, dtype: torch.dtype) -> None:
    model, steps, batch = rough(MODELS[name]().to(dtype)), 13, 4
    x, state = torch.randn(steps, batch, 3, dtype=dtype), random_state(model, batch)
    lengths, reset = torch.tensor([13, 5, 1, 12]), torch.rand(steps, batch) < 0.2
    assert_parity(model, x, state, lengths=lengths, reset=reset, start=2)
    if dtype == torch.float64:
        assert_parity(model, x, state)
        assert_parity(model, x, state, lengths=lengths)
        assert_parity(model, x, state, reset=reset)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("slots", "width", "reads", "writes", "hidden", "batch", "steps"),
    [
        (1, 1, 1, 1, 1, 1, 1),
        (2, 3, 2, 1, 3, 3, 2),
        (3, 17, 1, 2, 17, 1, 3),
        (16, 3, 4, 1, 1, 17, 1),
        (63, 17, 3, 2, 17, 2, 2),
        (65, 1, 5, 8, 63, 3, 2),
        (17, 63, 8, 1, 65, 17, 2),
        (128, 20, 1, 1, 40, 1, 17),
    ],
)
def test_sizes(
    slots: int, width: int, reads: int, writes: int, hidden: int, batch: int, steps: int, dtype: torch.dtype
) -> None:
    model = tm.NTM(2, hidden, slots=slots, width=width, reads=reads, writes=writes, dtype=dtype)
    assert_parity(model, torch.randn(steps, batch, 2, dtype=dtype), random_state(model, batch))
    levels = tm.NTM2(2, hidden, slots=slots, width=width, levels=3, dtype=dtype)
    assert_parity(levels, torch.randn(steps, batch, 2, dtype=dtype), random_state(levels, batch))


@pytest.mark.parametrize("name", ["ntm", "released", "ntm1 of the paper", "ntm3"])
def test_from_the_start(name: str) -> None:
    """Of a state that the model itself begins with, learned or not."""
    model = MODELS[name]().double()
    assert_parity(model, torch.randn(9, 3, 3, dtype=torch.float64), None)


@pytest.mark.parametrize("name", ["uniform writing", "random writing, interleaved", "ntm3"])
def test_chunks_are_the_whole(name: str) -> None:
    model = rough(MODELS[name]().double())
    model.engine = "fused"
    x, state = torch.randn(11, 3, 3, dtype=torch.float64), random_state(model, 3)
    whole, end = model(x, state)
    first, middle = model(x[:5], state)
    second, last = model(x[5:], middle, start=5)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(tuple(last.flatten().values()), tuple(end.flatten().values()))


@pytest.mark.parametrize("name", ["two heads each", "ntm2", "layer-norm lstm of two layers"])
def test_threads_do_not_matter(name: str) -> None:
    model = rough(MODELS[name]().double())
    model.engine = "fused"
    x, state = torch.randn(9, 5, 3, dtype=torch.float64), random_state(model, 5)
    results = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        model.zero_grad()
        output, _ = model(x, state)
        output.square().sum().backward()
        results.append([output, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)])
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])
