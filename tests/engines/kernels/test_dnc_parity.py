"""The fused kernel gives what the eager engine gives: outputs, final states, every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.kernels.comparison import assert_parity, needs_kernel, random_state
from torch import nn

import torchmann as tm
from torchmann.cells import ElmanCell, MemoryAugmentedCell
from torchmann.core.start import Start
from torchmann.memories import Distributed, DNCMemory, Uniform

pytestmark = needs_kernel

SIZES: dict[str, Any] = {"slots": 7, "width": 4, "reads": 2}


def dnc(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.DNC(3, 5, **{**SIZES, **options})


def dam(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.DAM(3, 5, **{**SIZES, "bypass_dropout": 0.0, **options})


def plain() -> tm.Recurrent:
    """No feedback, no bias, one head."""
    controller = ElmanCell(3, 5, nonlinearity="relu", bias=False)
    return tm.Recurrent(MemoryAugmentedCell(controller, DNCMemory(7, 4), feedback=False))


MODELS: dict[str, Callable[[], tm.Recurrent]] = {
    "dnc": dnc(),
    "no links": dnc(links=False),
    "layer-norm lstm": dnc(controller="layernorm_lstm"),
    "layer-norm lstm of uw": dnc(controller="layernorm_lstm_uw"),
    "gru": dnc(controller="gru"),
    "elman": dnc(controller="rnn"),
    "relu without feedback": plain,
    "softmax allocation": dnc(allocation="softmax"),
    "activations, usage gradient": dnc(strength="softplus", key_activation="tanh", usage_gradient=True),
    "limits": dnc(clip_interface=0.3, clip_controller=0.2, clip=0.5),
    "limits of a layer-norm lstm": dnc(clip_controller=0.2, controller="layernorm_lstm"),
    "limits of a layer-norm lstm of uw": dnc(clip_controller=0.4, controller="layernorm_lstm_uw"),
    "no bias, other epsilons": dnc(bias=False, epsilon=1e-4, usage_floor=0.0),
    "cosine outside": dnc(similarity="cosine_outside"),
    "cosine by the product of norms": dnc(similarity="cosine_product", epsilon=1e-2),
    "cosine divided by the width": dnc(similarity="cosine_per_width"),
    "learned starts": dnc(initial_memory="learned", initial_reads="learned", initial_controller="tanh"),
    "dam": dam(blocks=3),
    "dam of one block": dam(blocks=1),
    "dam with everything": dam(blocks=2, links=True, allocation="softmax", controller="layernorm_lstm"),
    "uniform writing": dnc(writing=Uniform(3)),
    "uniform, only writing held": dnc(writing=Uniform(3, hold="write")),
    "uniform, only reading held": dnc(writing=Uniform(3, hold="read")),
    "random writing": dnc(writing="random:0.5"),
    "dam, uniform writing": dam(blocks=2, links=True, writing="uniform:3"),
}


def rough(model: tm.Recurrent) -> tm.Recurrent:
    """Weights large enough that every gate does something, and a start at which no two slots are used alike."""
    distributed = isinstance(model.cell.memory, Distributed)
    memory = model.cell.memory.block.memory if distributed else model.cell.memory
    memory.initial_usage = Start((memory.slots,), "sigmoid", dtype=memory.initial_usage.like.dtype)
    if distributed:
        memory.initial_usage.weight = nn.Parameter(
            torch.stack([memory.initial_usage.weight] * model.cell.memory.blocks)
        )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_options(name: str, dtype: torch.dtype) -> None:
    model, steps, batch = rough(MODELS[name]().to(dtype)), 19, 4
    x, state = torch.randn(steps, batch, 3, dtype=dtype), random_state(model, batch)
    lengths, reset = torch.tensor([19, 5, 1, 12]), torch.rand(steps, batch) < 0.2
    assert_parity(model, x, state)
    assert_parity(model, x, state, lengths=lengths)
    assert_parity(model, x, state, reset=reset)
    assert_parity(model, x, state, lengths=lengths, reset=reset, start=2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("slots", "width", "reads", "hidden", "batch", "steps"),
    [
        (1, 1, 1, 1, 1, 1),
        (1, 3, 2, 3, 3, 2),
        (3, 17, 1, 17, 1, 3),
        (17, 3, 4, 1, 17, 1),
        (63, 17, 3, 17, 2, 2),
        (65, 1, 5, 63, 3, 2),
        (17, 63, 1, 65, 17, 2),
        (3, 65, 7, 3, 63, 1),
        (65, 65, 2, 65, 1, 17),
    ],
)
def test_sizes(slots: int, width: int, reads: int, hidden: int, batch: int, steps: int, dtype: torch.dtype) -> None:
    for allocation in ("sorted", "softmax"):
        model = tm.DNC(2, hidden, slots=slots, width=width, reads=reads, allocation=allocation, dtype=dtype)
        assert_parity(model, torch.randn(steps, batch, 2, dtype=dtype), random_state(model, batch))


def test_from_an_empty_memory() -> None:
    model = tm.DNC(3, 5, **SIZES).double()
    x = torch.randn(12, 3, 3, dtype=torch.float64)
    model.engine = "fused"
    fused, _ = model(x)
    model.engine = "eager"
    eager, _ = model(x)
    torch.testing.assert_close(fused, eager)  # of the state not every leaf: equal slots may change places


def test_chunks_are_the_whole() -> None:
    model = rough(tm.DNC(3, 5, writing="uniform:4", engine="fused", **SIZES).double())
    x, state = torch.randn(11, 3, 3, dtype=torch.float64), random_state(model, 3)
    whole, end = model(x, state)
    first, middle = model(x[:5], state)
    second, last = model(x[5:], middle, start=5)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(tuple(last.flatten().values()), tuple(end.flatten().values()))


def test_threads_do_not_matter() -> None:
    model = rough(tm.DNC(3, 5, engine="fused", **SIZES).double())
    x, state = torch.randn(9, 5, 3, dtype=torch.float64), random_state(model, 5)
    results = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        model.zero_grad()
        output, _ = model(x, state)
        output.square().sum().backward()
        results.append([output, *(parameter.grad for parameter in model.parameters())])
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])
