"""The kernel of plain recurrent cells gives what the eager engine gives: outputs, final states, every gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from tests.engines.kernels.comparison import assert_parity, needs_kernel, random_state
from torch import nn

import torchmann as tm
from torchmann.cells import ElmanCell, GRUCell, LayerNormLSTMCell, LSTMCell, SkipStacked, Stacked
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.noise import draw_noise
from torchmann.engines import FusedStepper
from torchmann.engines.kernels import call, operator

pytestmark = needs_kernel


def recurrent(make: Callable[..., Cell], hidden: int = 5, dtype: torch.dtype | None = None) -> tm.Recurrent:
    """Its starts have a gradient."""
    return tm.Recurrent(make(3, hidden, initial="tanh", dtype=dtype), engine="fused")


CELLS: dict[str, Callable[..., Cell]] = {
    "lstm": LSTMCell,
    "lstm with limits": partial(LSTMCell, clip=0.3),
    "lstm without bias": partial(LSTMCell, bias=False),
    "layer-norm lstm": LayerNormLSTMCell,
    "layer-norm lstm with limits": partial(LayerNormLSTMCell, clip=0.4),
    "layer-norm lstm of uw": partial(LayerNormLSTMCell, carry="normalised", epsilon=1e-12, bias=False),
    "layer-norm lstm of uw with limits": partial(LayerNormLSTMCell, carry="normalised", clip=0.4),
    "gru": GRUCell,
    "gru without bias": partial(GRUCell, bias=False),
    "elman": ElmanCell,
    "elman with relu, without bias": partial(ElmanCell, nonlinearity="relu", bias=False),
}
MODELS = {name: partial(recurrent, make, hidden=17 if "lstm" in name else 5) for name, make in CELLS.items()}
"""Some with so many units that few steps run without packed weights, and some with fewer."""


def rough(model: tm.Recurrent, std: float = 0.5) -> tm.Recurrent:
    """Weights large enough that every gate does something."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std)
    return model


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", CELLS)
def test_options(name: str, dtype: torch.dtype) -> None:
    """Over more steps than go into one block of inputs."""
    model, steps, batch = rough(MODELS[name](dtype=dtype)), 19, 4
    x, state = torch.randn(steps, batch, 3, dtype=dtype), random_state(model, batch)
    lengths, reset = torch.tensor([19, 5, 1, 17]), torch.rand(steps, batch) < 0.2
    assert_parity(model, x, None)
    assert_parity(model, x, state)
    assert_parity(model, x, state, lengths=lengths)
    assert_parity(model, x, state, reset=reset)
    assert_parity(model, x, None, lengths=lengths, reset=reset)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("inputs", "hidden", "batch", "steps"),
    [
        (1, 1, 1, 1),
        (1, 3, 3, 2),
        (3, 17, 1, 3),
        (17, 1, 17, 1),
        (2, 65, 1, 9),
        (5, 32, 1, 16),
        (63, 7, 9, 16),
        (16, 63, 1, 33),
        (65, 16, 8, 2),
        (2, 65, 63, 1),
        (40, 15, 2, 17),
    ],
)
def test_sizes(inputs: int, hidden: int, batch: int, steps: int, dtype: torch.dtype) -> None:
    for make in (LSTMCell, LayerNormLSTMCell, GRUCell, ElmanCell):
        model = rough(tm.Recurrent(make(inputs, hidden, dtype=dtype)), std=0.2)
        assert_parity(model, torch.randn(steps, batch, inputs, dtype=dtype), random_state(model, batch))


@pytest.mark.parametrize("skip", [False, True])
def test_layers(skip: bool) -> None:
    """Of different cells, with dropout between them."""
    sizes = [3, 8, 9] if skip else [3, 5, 6]
    makes = (LSTMCell, GRUCell, LayerNormLSTMCell)
    cells = [
        make(size, hidden, dtype=torch.float64) for make, size, hidden in zip(makes, sizes, (5, 6, 4), strict=True)
    ]
    model = rough(tm.Recurrent((SkipStacked if skip else Stacked)(cells, dropout=0.5)))
    x, state = torch.randn(19, 4, 3, dtype=torch.float64), random_state(model, 4)
    lengths, reset = torch.tensor([19, 5, 1, 17]), torch.rand(19, 4) < 0.2
    noise = draw_noise(model.cell.noise_spec(4), 19, generator=None, like=x)
    assert_parity(model, x, state, noise=noise)
    assert_parity(model, x, state, noise=noise, lengths=lengths, reset=reset)
    assert_parity(model.eval(), x, None)


def test_layers_run_all_or_none() -> None:
    x, stack = torch.randn(4, 2, 3), Stacked([LSTMCell(3, 5), GRUCell(5, 5, reset_after=False)])
    with pytest.raises(OptionError, match="reset_after=True"):
        tm.Recurrent(stack, engine="fused")(x)
    torch.testing.assert_close(tm.Recurrent(stack)(x)[0], tm.Recurrent(stack, engine="eager")(x)[0])


@pytest.mark.parametrize("name", CELLS)
def test_chunks_are_the_whole(name: str) -> None:
    model = rough(MODELS[name](dtype=torch.float64))
    x, state = torch.randn(21, 3, 3, dtype=torch.float64), random_state(model, 3)
    whole, end = model(x, state)
    first, middle = model(x[:18], state)
    second, last = model(x[18:], middle)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(tuple(last), tuple(end))


def test_threads_do_not_matter() -> None:
    model = rough(MODELS["layer-norm lstm"](dtype=torch.float64))
    x, state = torch.randn(9, 5, 3, dtype=torch.float64), random_state(model, 5)
    results, threads = [], torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        model.zero_grad()
        output, _ = model(x, state)
        output.square().sum().backward()
        results.append([output, *(parameter.grad for parameter in model.parameters())])
    torch.set_num_threads(threads)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])


def test_nothing_to_run() -> None:
    model = rough(MODELS["lstm"]())
    output, state = model(torch.zeros(4, 0, 3))
    assert output.shape == (4, 0, 17) and state.h.shape == (0, 17)
    output.sum().backward()
    assert not any(parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("poison", [float("nan"), 1e30])
def test_nothing_is_read_that_was_not_written(poison: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and tape full of NaN change nothing."""
    real = call.buffer
    models = [rough(make()) for make in MODELS.values()]
    x, lengths, reset = torch.randn(20, 3, 3), torch.tensor([20, 2, 17]), torch.rand(20, 3) < 0.3

    def run() -> list[torch.Tensor]:
        results = []
        for model in models:
            model.zero_grad()
            output, final = model(x, random_state(model, 3), lengths=lengths, reset=reset)
            alone, _ = model(x[:9, :1])
            (output.square().sum() + alone.sum() + sum(leaf.sum() for leaf in final)).backward()
            results += [output, *final, *(p.grad for p in model.parameters())]
            with torch.no_grad():
                results.append(model(x)[0])
        return results

    torch.manual_seed(1)
    expected = run()
    for module in (call, operator):
        monkeypatch.setattr(module, "buffer", lambda count, dtype: real(count, dtype).fill_(poison))
    torch.manual_seed(1)
    for value, wanted in zip(run(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=0)


def test_what_it_cannot_run_is_said() -> None:
    class Squared(LSTMCell):
        def forward(self, x, state, noise=None):
            h, state = super().forward(x, state)
            return h.square(), state

    x = torch.randn(4, 2, 3)
    for cell, message in ((GRUCell(3, 5, reset_after=False), "reset_after=True"), (Squared(3, 5), "not Squared")):
        with pytest.raises(OptionError, match=f"the fused engine cannot run this, because .*{message}"):
            tm.Recurrent(cell, engine="fused")(x)
        torch.testing.assert_close(tm.Recurrent(cell)(x)[0], tm.Recurrent(cell, engine="eager")(x)[0])
    model, calls = tm.Recurrent(LSTMCell(3, 5)), []
    model.cell.register_forward_hook(lambda *_: calls.append(1))
    model(x)
    assert len(calls) == 4
    with pytest.raises(OptionError, match="'hold'"):
        rough(MODELS["lstm"]())(x, schedule=["dense", "hold", "dense", "dense"])


def test_recording_runs_eager() -> None:
    model, x = rough(MODELS["lstm"]()), torch.randn(4, 2, 3)
    with tm.Recorder(model) as recorder:
        output, _ = model(x)
    assert recorder["c"].shape[0] == 4
    torch.testing.assert_close(output, model(x)[0])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_one_step_at_a_time(name: str) -> None:
    model = rough(MODELS[name](dtype=torch.float64)).eval()
    x = torch.randn(18, 2, 3, dtype=torch.float64)
    stepper = FusedStepper(model.cell, model.initial_state(2))
    with torch.no_grad():
        wanted, final = model(x)
    torch.testing.assert_close(torch.stack([stepper(step) for step in x]), wanted)
    torch.testing.assert_close(tuple(stepper.state), tuple(final))
