"""The kernel of ARMIN, AwTA and TARDIS as an operator of torch, and over sequences in parts, members and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.kernels.comparison import assert_parity, needs_kernel, random_state
from tests.engines.kernels.test_armin_parity import noise_for, rough
from tests.engines.kernels.test_operator import Dense, arguments, sequence
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

import torchmann as tm
from torchmann.core import OptionError, ShapeError
from torchmann.core.noise import map_draws
from torchmann.core.state import map_leaves
from torchmann.engines import FusedStepper, fused
from torchmann.engines.kernels import call, operator
from torchmann.memories import Uniform

pytestmark = needs_kernel

SIZES: dict[str, Any] = {"slots": 6, "width": 4, "engine": "fused"}
MODELS: dict[str, Callable[..., tm.Recurrent]] = {
    "armin": lambda **options: tm.ARMIN(3, 5, **SIZES, layer_norm=True, zoneout_keep=0.8, **options),
    "awta": lambda **options: tm.AwTA(3, 5, **SIZES, sampling="softmax", **options),
    "tardis": lambda **options: tm.TARDIS(3, 5, **SIZES, read_keys=True, normalisation="layer_norm", **options),
}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Callable[..., tm.Recurrent]:
    """Makes a model that runs in the kernel."""
    return MODELS[request.param]


def test_chunks_are_the_whole(make: Callable[..., tm.Recurrent]) -> None:
    model = rough(make(writing="uniform:4").double()).eval()
    x, state = torch.randn(11, 3, 3, dtype=torch.float64), random_state(model, 3)
    whole, end = model(x, state)
    first, middle = model(x[:5], state)
    second, last = model(x[5:], middle, start=5)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(tuple(last.flatten().values()), tuple(end.flatten().values()))


def test_threads_do_not_matter(make: Callable[..., tm.Recurrent]) -> None:
    model = rough(make().double()).eval()
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


def test_members_under_noise(make: Callable[..., tm.Recurrent]) -> None:
    """Each member of an ensemble, with its own noise and its own temperature, gives what it gives alone."""
    members = [make(temperature=0.5 + number) for number in range(3)]
    parameters, buffers = stack_module_state(members)  # type: ignore[arg-type]
    x = torch.randn(3, 7, 2, 3)
    spec = members[0].cell.noise_spec(2)
    drawn = [noise_for(member, x[0]) for member in members]
    leaves: list[list[Tensor]] = [[], [], []]
    for tree, found in zip(drawn, leaves, strict=True):
        map_leaves(found.append, tree)

    def run(parameters: Any, buffers: Any, x: Tensor, *noise: Tensor) -> Tensor:
        each = iter(noise)
        tree = map_draws(lambda _: next(each), spec)
        return functional_call(members[0], (parameters, buffers), (x,), {"noise": tree})[0]

    output = vmap(run)(parameters, buffers, x, *(torch.stack(same) for same in zip(*leaves, strict=True)))
    output.square().sum().backward()
    for number, member in enumerate(members):
        alone, _ = member(x[number], noise=drawn[number])
        torch.testing.assert_close(output[number], alone)
        alone.square().sum().backward()
        for name, parameter in member.named_parameters():
            torch.testing.assert_close(parameters[name].grad[number], parameter.grad)


def test_operator_is_one_of_torch(make: Callable[..., tm.Recurrent]) -> None:
    model = make()
    given_ = arguments(model)
    given_[0].requires_grad_()
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(sequence(model), tuple(given_), test_utils=tests)


def test_compiles_whole(make: Callable[..., tm.Recurrent]) -> None:
    torch._dynamo.reset()
    plain = make().eval()
    compiled = torch.compile(plain, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 2, 3)
    output, _ = compiled(x)
    output.square().sum().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in plain.named_parameters()}
    plain.zero_grad()
    expected, _ = plain(x)
    expected.square().sum().backward()
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients, {name: parameter.grad for name, parameter in plain.named_parameters()})


def test_exports_with_any_number_of_rows_and_steps(make: Callable[..., tm.Recurrent]) -> None:
    plain = Dense(make())
    T, B = torch.export.Dim("T", min=2, max=50), torch.export.Dim("B", min=2, max=50)
    exported = torch.export.export(plain, (torch.randn(5, 3, 3),), dynamic_shapes={"x": {0: T, 1: B}})
    x = torch.randn(9, 4, 3)
    torch.testing.assert_close(exported.module()(x), plain.model(x)[0])


def test_autocast_runs_in_float32(make: Callable[..., tm.Recurrent]) -> None:
    plain = make().eval()
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = plain(x.bfloat16())
    assert output.dtype == torch.bfloat16 and state.memory.memory.dtype == torch.float32
    torch.testing.assert_close(output.float(), plain(x.bfloat16().float())[0], rtol=2e-2, atol=2e-2)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(list(MODELS)))
def test_forms_out_of_range_are_refused(data: st.DataObject, name: str) -> None:
    """Another size, option or set of weights than the tensors have: an error; or it is as good a form."""
    model = MODELS[name]()
    given_ = arguments(model)
    place = data.draw(st.integers(0, len(given_[8]) - 1))
    given_[8][place] = data.draw(st.one_of(st.sampled_from([0, 1, 2, -1]), st.integers(-(2**62), 2**62)))
    try:
        results = sequence(model)(*given_)
    except (ShapeError, OptionError, ValueError):
        return
    kernel = fused.operator_for(model.cell).kernel
    assert all(result.isfinite().all() for result in results[: len(kernel.outputs)])


@pytest.mark.parametrize("filled", [-1, 2**40])
def test_counts_out_of_range_write_nowhere(filled: int) -> None:
    """A count that no sequence leaves is no index: below zero no slot is written, above the last is the last read."""
    model = rough(MODELS["tardis"]()).eval()
    state = random_state(model, 2)
    state = state._replace(memory=state.memory._replace(filled=torch.full((2,), filled)))
    assert_parity(model, torch.randn(1, 2, 3), state)


@pytest.mark.parametrize("poison", [float("nan"), 1e30])
def test_nothing_is_read_that_was_not_written(poison: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and tape full of NaN change nothing."""
    real = call.buffer
    plain = [make().eval() for make in MODELS.values()]
    plain += [MODELS["armin"](writing=Uniform(3, hold="read")), tm.ARMIN(3, 5, slots=4, engine="fused")]
    x, lengths, reset = torch.randn(9, 3, 3), torch.tensor([9, 2, 4]), torch.rand(9, 3) < 0.3

    def run() -> list[Tensor]:
        results = []
        for model in plain:
            model.zero_grad()
            output, final = model.eval()(x, random_state(model, 3), lengths=lengths, reset=reset)
            (output.square().sum() + sum(leaf.sum() for leaf in final.flatten().values())).backward()
            results += [output, *final.flatten().values(), *(parameter.grad for parameter in model.parameters())]
        return results

    torch.manual_seed(1)
    expected = run()
    for module in (call, operator):
        monkeypatch.setattr(module, "buffer", lambda count, dtype: real(count, dtype).fill_(poison))
    torch.manual_seed(1)
    for value, wanted in zip(run(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=0)


def test_nan_stays_nan_and_stays_in_its_row(make: Callable[..., tm.Recurrent]) -> None:
    x = torch.randn(4, 2, 3)
    x[1, 0, 0] = float("nan")
    x.requires_grad_()
    output, _ = make().eval()(x)
    assert output[1:, 0].isnan().all() and output[:, 1].isfinite().all()
    output.nansum().backward()
    assert x.grad is not None and x.grad[:, 1].isfinite().all()


def test_padding_reaches_no_gradient(make: Callable[..., tm.Recurrent]) -> None:
    x = torch.randn(4, 2, 3)
    x[2:, 1] = float("nan")
    plain = make()
    output, _ = plain(x, lengths=[4, 2])
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in plain.parameters() if p.grad is not None)


def test_an_empty_batch_and_no_step(make: Callable[..., tm.Recurrent]) -> None:
    plain = make().eval()
    x = torch.randn(4, 0, 3, requires_grad=True)
    output, state = plain(x)
    output.sum().backward()
    assert output.shape == (4, 0, 5) and x.grad is not None and state.memory.filled.shape == (0,)


def test_one_hot_reading_steps_as_the_model_does(make: Callable[..., tm.Recurrent]) -> None:
    """The stepper, whatever its steps do with the memory."""
    model = rough(make(dtype=torch.float64)).eval()
    state = random_state(model, 3)
    stepper = FusedStepper(model.cell, state)
    for kind in (None, "hold_write", "hold", "hold_read", None, "hold_read"):
        x = torch.randn(3, 3, dtype=torch.float64)
        with torch.no_grad():
            schedule = None if kind is None else [kind]
            wanted, state = model(x.unsqueeze(0), state, schedule=schedule)
        torch.testing.assert_close(stepper(x, kind=kind), wanted[0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(tuple(stepper.state.flatten().values()), tuple(state.flatten().values()))
