"""The checkpointed engine gives what its inner engine gives, second derivatives too, in little memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.test_cells import CELLS
from tests.engines.parity import STEPS, agree, arguments
from torch import Tensor

import torchmann as tm
from torchmann.core.errors import OptionError
from torchmann.core.state import named_leaves
from torchmann.engines import Checkpointed, compiled, eager

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.mark.parametrize("chunk", [None, 2, 100])
@pytest.mark.parametrize("name", ["stacked-dropout", "gru-reset-before", "dnc-uniform", "sam", "armin", "feedforward"])
def test_as_eager(name: str, chunk: int | None) -> None:
    cell = CELLS[name]().double()
    x, options = arguments(cell)
    agree(Checkpointed(chunk=chunk), cell, x, **options, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_as_eager(name: str) -> None:
    cell = CELLS[name]().double()
    x, options = arguments(cell)
    agree(Checkpointed(), cell, x, **options, **EXACT)
    _, state = eager.unroll(cell, x, cell.initial_state(x.shape[1]), schedule=cell.schedule(STEPS))
    agree(Checkpointed(), cell, x, state.detach(), schedule=cell.schedule(STEPS, start=STEPS), **EXACT)


@settings(max_examples=10)
@given(st.integers(1, 9), st.integers(1, 10), st.integers(0, 10**6))
def test_any_number_of_steps_and_chunk(steps: int, chunk: int, seed: int) -> None:
    torch.manual_seed(seed)
    cell = tm.NTM(3, 4, slots=3, width=2, writing="random:0.5").cell.double()
    x = torch.randn(steps, 2, 3, dtype=torch.float64)
    lengths = torch.randint(1, steps + 1, (2,))
    agree(Checkpointed(chunk=chunk), cell, x, lengths_B=lengths, reset_TB=torch.rand(steps, 2) < 0.3, **EXACT)


@pytest.mark.usefixtures("uncompiled")
def test_around_the_compiled_engine() -> None:
    cell = CELLS["stacked-dropout"]().double()
    x, options = arguments(cell)
    agree(Checkpointed(compiled.unroll, chunk=3), cell, x, **options, **EXACT)


def second_derivatives(model: tm.Recurrent, x: Tensor) -> list[Tensor]:
    """Of a loss, by way of the norm of its gradient: by the input, the start of the state and the parameters."""
    x = x.clone().requires_grad_()
    state = model(torch.ones_like(x), generator=torch.Generator().manual_seed(1))[1].detach()
    leaves = [leaf.requires_grad_() for _, leaf in named_leaves(state) if leaf.is_floating_point()]
    sources = [x, *leaves, *model.parameters()]
    output, _ = model(x, state, generator=torch.Generator().manual_seed(0))
    first = torch.autograd.grad(output.square().sum(), sources, create_graph=True, allow_unused=True)
    norm = sum(gradient.square().sum() for gradient in first if gradient is not None)
    second = torch.autograd.grad(norm, sources, allow_unused=True)
    return [gradient for gradient in (*first, *second) if gradient is not None]


@pytest.mark.parametrize(
    "make",
    [
        lambda: tm.ARMIN(3, 6, slots=4, layer_norm=True, zoneout_keep=0.8, writing="uniform:3"),
        lambda: tm.DNC(3, 5, slots=4, width=3),
    ],
    ids=["armin", "dnc"],
)
def test_second_derivatives_as_eager(make: Callable[[], tm.Recurrent]) -> None:
    model = make().double()
    x = torch.randn(8, 2, 3, dtype=torch.float64)
    found = {}
    for engine in ("eager", "checkpointed"):
        model.engine = engine
        found[engine] = second_derivatives(model, x)
    for one, other in zip(found["eager"], found["checkpointed"], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("uncompiled")
def test_an_inner_engine_by_name() -> None:
    model = tm.LSTM(3, 4, engine="checkpointed:compiled")
    x = torch.randn(5, 1, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(OptionError, match="engine='compiled' has no second derivatives"):
        gradient.sum().backward()
    assert "checkpointed:compiled" in repr(model)
    with pytest.raises(OptionError, match=r"unknown engine 'eagr': did you mean 'eager'"):
        tm.LSTM(3, 4, engine="checkpointed:eagr")
    with pytest.raises(OptionError, match="chunk must be an integer of at least 1, got 0"):
        Checkpointed(chunk=0)


def test_an_engine_itself_in_place_of_a_name() -> None:
    model = tm.LSTM(3, 4, engine=Checkpointed(chunk=2))
    assert model(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)
    assert "chunk=2" in repr(model)


def test_other_parameters_in_place_of_the_models_own() -> None:
    """The second computation comes when `functional_call` is over, and still takes the parameters of the first."""
    model = tm.LSTM(3, 4)
    x = torch.randn(6, 2, 3)
    scale = torch.tensor(0.7, requires_grad=True)
    found = []
    for engine in ("eager", "checkpointed"):
        model.engine = engine
        others = {name: parameter * scale for name, parameter in model.named_parameters()}
        output, _ = torch.func.functional_call(model, others, (x,))
        found.append(torch.autograd.grad(output.square().sum(), [scale, *model.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one)


def test_the_second_computation_is_under_the_autocast_of_the_first() -> None:
    model = tm.NTM(3, 6, slots=5, width=4)
    x = torch.randn(6, 2, 3)
    found = []
    for engine in ("eager", "checkpointed"):
        model.engine = engine
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output, _ = model(x)
        found.append(torch.autograd.grad(output.float().square().sum(), list(model.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=0.02, atol=0.02)


def test_a_recorder_sees_each_step_once_and_can_keep_the_graph() -> None:
    model = tm.NTM(3, 4, slots=5, width=4, engine="checkpointed")
    with tm.Recorder(model, keep_graph=True) as recorder:
        output, _ = model(torch.randn(9, 2, 3))
        output.sum().backward()
    assert recorder["memory.write_weights"].shape == (9, 2, 1, 5)
    assert recorder["memory.write_weights"].requires_grad


PEAK = """
import sys
from pathlib import Path
import torch
import torchmann as tm
torch.set_num_threads(1)
model = tm.DNC(10, 128, slots=64, width=36, output_size=8, engine=sys.argv[1])
def train(steps):
    model.zero_grad()
    model(torch.randn(steps, 1, 10))[0].square().mean().backward()
train(10)
def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
Path("/proc/self/clear_refs").write_text("5")  # else it is the most that the process had that started this one
base = most()
train(int(sys.argv[2]))
print((most() - base) // 1024)
"""


def peak(engine: str, steps: int) -> int:
    """MiB that training on a sequence takes beyond what a process takes anyway."""
    command = [sys.executable, "-c", PEAK, engine, str(steps)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory a process has had")
def test_ten_thousand_steps_take_less_than_a_gibibyte() -> None:
    few = peak("eager", 500)
    assert few > 50, "eager keeps every step, or this test shows nothing"
    assert peak("checkpointed", 10_000) < min(1024, few)


def calls_of(cell: tm.Cell, engine: Any, x: Tensor) -> int:
    """How many steps a training iteration computes."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    with torch.nn.Module.register_forward_hook(cell, count):
        output, _ = engine(cell, x, cell.initial_state(x.shape[1]), schedule=cell.schedule(len(x)))
        output.sum().backward()
    return calls


def test_each_step_is_computed_twice_and_without_gradients_once() -> None:
    cell = tm.cells.LSTMCell(3, 4)
    assert calls_of(cell, Checkpointed(), torch.randn(17, 2, 3)) == 34
    with torch.no_grad():
        Checkpointed()(cell, torch.randn(4, 2, 3), cell.initial_state(2), schedule=cell.schedule(4))
