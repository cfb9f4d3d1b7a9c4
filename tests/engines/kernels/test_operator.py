"""A kernel as an operator of torch: how it composes with torch, and that nothing unfit reaches it; for each kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.kernels.comparison import needs_kernel, random_state
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

import torchmann as tm
from torchmann.cells import GRUCell, LayerNormLSTMCell, LSTMCell
from torchmann.core import OptionError, ShapeError
from torchmann.engines import fused
from torchmann.engines.kernels import build, call, operator

pytestmark = needs_kernel

SIZES: dict[str, Any] = {"slots": 6, "width": 4, "engine": "fused"}
Make = Callable[..., tm.Recurrent]


def recurrent(controller: str = "lstm") -> tm.Recurrent:
    """A controller by itself."""
    make = {"lstm": LSTMCell, "layernorm_lstm": LayerNormLSTMCell, "gru": GRUCell}[controller]
    return tm.Recurrent(make(3, 5), engine="fused")


MODELS: dict[str, Make] = {
    "dnc": lambda **options: tm.DNC(3, 5, **SIZES, **options),
    "ntm": lambda **options: tm.NTM(3, 5, **SIZES, **options),
    "ntm3": lambda **options: tm.NTM3(3, 5, **SIZES, **options),
    "recurrent": recurrent,
}
"""One of each kernel, or of each kind of cell that looks different to its kernel."""


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a model that runs in a kernel."""
    return MODELS[request.param]


@pytest.mark.parametrize("nested", [False, True])
def test_ensemble(nested: bool, make: Make) -> None:
    """Under vmap each member gives what it gives alone; gradients are taken outside."""
    members = [make(controller="layernorm_lstm") for _ in range(4)]
    parameters, buffers = stack_module_state(members)  # type: ignore[arg-type]
    x = torch.randn(4, 5, 2, 3)

    def run(parameters: Any, buffers: Any, x: Tensor) -> Tensor:
        return functional_call(members[0], (parameters, buffers), (x,))[0]

    if nested:
        halves = [{name: leaf.unflatten(0, (2, 2)) for name, leaf in tree.items()} for tree in (parameters, buffers)]
        output = vmap(vmap(run))(*halves, x.unflatten(0, (2, 2))).flatten(0, 1)
    else:
        output = vmap(run)(parameters, buffers, x)
    output.square().sum().backward()
    for number, member in enumerate(members):
        alone, _ = member(x[number])
        torch.testing.assert_close(output[number], alone)
        alone.square().sum().backward()
        for name, parameter in member.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(parameters[name].grad[number], parameter.grad)


def sequence(model: tm.Recurrent) -> Any:
    """The operator that runs a model."""
    return fused.operator_for(model.cell).sequence


def arguments(model: tm.Recurrent, keep: bool = True, **options: Any) -> list[Any]:
    """What it takes for the model."""
    cell: Any = model.cell
    kernel = fused.operator_for(cell).kernel
    form, weights = kernel.form_of(cell)
    state = [leaf.detach() for leaf in kernel.leaves_of(form, cell.initial_state(2))]
    integers, limits = kernel.encoded(form)
    given = {
        "x": torch.randn(4, 2, 3), "weights": [weight.detach() for weight in weights], "state": state, "fresh": [],
        "noise": [], "kinds": None, "lengths": None, "reset": None, "form": integers, "limits": limits, "members": 0,
        "keep": keep,
    }  # fmt: skip
    return list((given | options).values())


def test_operator_is_one_of_torch(make: Make) -> None:
    model = make()
    given = arguments(model)
    given[0].requires_grad_()
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(sequence(model), tuple(given), test_utils=tests)


def test_compiles_whole(make: Make) -> None:
    torch._dynamo.reset()
    plain = make(controller="gru")
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


class Dense(torch.nn.Module):
    """A fused model with a schedule that does not ask how long the sequence is."""

    def __init__(self, model: tm.Recurrent) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, x: Tensor) -> Tensor:
        return fused.unroll(self.model.cell, x, self.model.initial_state(x.shape[1]), schedule=[])[0]


def test_exports_with_any_number_of_rows_and_steps(make: Make) -> None:
    plain = Dense(make())
    T, B = torch.export.Dim("T", min=2, max=50), torch.export.Dim("B", min=2, max=50)
    exported = torch.export.export(plain, (torch.randn(5, 3, 3),), dynamic_shapes={"x": {0: T, 1: B}})
    x = torch.randn(9, 4, 3)
    torch.testing.assert_close(exported.module()(x), plain.model(x)[0])


def test_autocast_runs_in_float32(make: Make) -> None:
    plain = make()
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = plain(x.bfloat16())
        plain.engine = "eager"
        assert output.dtype == plain(x.bfloat16())[0].dtype
        plain.engine = "fused"
    assert all(leaf.dtype == torch.float32 for leaf in state.flatten().values())
    torch.testing.assert_close(output.float(), plain(x.bfloat16().float())[0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": torch.zeros(4, 2, 3, dtype=torch.bfloat16)}, "float32 or float64"),
        ({"x": torch.zeros(2, 3)}, r"\[T, B, I\]"),
        ({"x": torch.zeros(4, 2, 3, dtype=torch.float64)}, "torch.float64 tensor"),
        ({"x": torch.zeros(4, 3, 3)}, r"state leaf (0\.)?h must be \(3, 5\)"),
        ({"x": torch.zeros(4, 2, 9)}, "weight_ih must be"),
        ({"lengths": torch.zeros(3, dtype=torch.int64)}, r"lengths must be \(2,\)"),
        ({"lengths": torch.zeros(2)}, "lengths must be a dense torch.int64"),
        ({"reset": torch.zeros(4, 3, dtype=torch.bool)}, r"reset must be \(4, 2\)"),
        ({"kinds": torch.zeros(3, dtype=torch.int8)}, r"kinds must be \(4,\)"),
        ({"members": 2}, "T, B, I"),
    ],
)
def test_nothing_unfit_reaches_a_pointer(changed: dict[str, Any], message: str, make: Make) -> None:
    model = make()
    with pytest.raises(ShapeError, match=message):
        sequence(model)(*arguments(model, **changed))


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(list(MODELS)))
def test_fuzzed_tensors_are_refused(data: st.DataObject, name: str) -> None:
    """Whichever tensor has another size, dtype or layout: an error, never a call."""
    model = MODELS[name]()
    given_ = arguments(model)
    group = data.draw(st.sampled_from([1, 2]))
    place = data.draw(st.integers(0, len(given_[group]) - 1))
    tensor = given_[group][place]
    wrong = data.draw(
        st.sampled_from(
            [tensor[..., :-1], tensor.unsqueeze(0), tensor.double(), tensor.half(), tensor[:0], tensor.to_sparse(),
             tensor.to("meta"), torch.cat([tensor, tensor])]
        )
    )  # fmt: skip
    given_[group][place] = wrong
    with pytest.raises((ShapeError, NotImplementedError, RuntimeError)):
        sequence(model)(*given_)


@settings(max_examples=200)
@given(data=st.data(), name=st.sampled_from(list(MODELS)))
def test_forms_out_of_range_are_refused(data: st.DataObject, name: str) -> None:
    """Another size, option or set of weights than the tensors have: an error; or it is as good a form."""
    model = MODELS[name]()
    given_ = arguments(model)
    place = data.draw(st.integers(0, len(given_[8]) - 1))
    value = data.draw(st.one_of(st.sampled_from([0, 1, 2, -1]), st.integers(-(2**62), 2**62)))
    given_[8][place] = value
    try:
        results = sequence(model)(*given_)
    except (ShapeError, OptionError, ValueError):
        return
    kernel = fused.operator_for(model.cell).kernel
    flags = (*kernel.options, "interval", "noise")  # others change the sizes of tensors
    names = (*kernel.sizes, *kernel.options, "weights", "noise")
    assert names[place] in flags or given_[8][place] == arguments(model)[8][place], names[place]
    assert all(result.isfinite().all() for result in results[: len(kernel.outputs)])


@pytest.mark.parametrize("integers", [{0: 0}, {1: -1}, {4: 2}, {6: 9}, {6: 1}, {9: 1}, {17: 0}])
def test_forms_of_other_cells_are_refused(integers: dict[int, int]) -> None:
    model = MODELS["dnc"]()
    given_ = arguments(model)
    for place, value in integers.items():
        given_[8][place] = value
    with pytest.raises((ShapeError, OptionError)):
        sequence(model)(*given_)


def test_lengths_out_of_range_are_refused(make: Make) -> None:
    model = make()
    for lengths in ([5, 1], [-1, 2]):
        with pytest.raises(OptionError, match="lengths must lie in"):
            sequence(model)(*arguments(model, lengths=torch.tensor(lengths)))


@pytest.mark.parametrize("poison", [float("nan"), 1e30])
def test_nothing_is_read_that_was_not_written(poison: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and tape full of NaN change nothing."""
    real = call.buffer
    plain = [
        tm.DNC(3, 5, reads=3, writing="uniform:2", **SIZES),
        tm.DAM(3, 5, blocks=2, links=True, **SIZES).eval(),
        tm.NTM(3, 5, reads=2, writes=3, writing="uniform:2", order="interleaved", **SIZES),
        tm.NTM3(3, 5, levels=3, **SIZES),
    ]
    x, lengths, reset = torch.randn(7, 3, 3), torch.tensor([7, 2, 4]), torch.rand(7, 3) < 0.3

    def run() -> list[Tensor]:
        results = []
        for each in plain:
            each.zero_grad()
            state = random_state(each, 3)
            output, final = each(x, state, lengths=lengths, reset=reset)
            (output.square().sum() + sum(leaf.sum() for leaf in final.flatten().values())).backward()
            results += [output, *final.flatten().values(), *(p.grad for p in each.parameters() if p.grad is not None)]
        return results

    torch.manual_seed(1)
    expected = run()
    for module in (call, operator):
        monkeypatch.setattr(module, "buffer", lambda count, dtype: real(count, dtype).fill_(poison))
    torch.manual_seed(1)
    for value, wanted in zip(run(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=0)


def test_nan_stays_nan(make: Make) -> None:
    x = torch.randn(4, 2, 3)
    x[1, 0, 0] = float("nan")
    output, _ = make()(x)
    assert output[1:, 0].isnan().all() and output[:, 1].isfinite().all()


def test_padding_reaches_no_gradient(make: Make) -> None:
    x = torch.randn(4, 2, 3)
    x[2:, 1] = float("nan")
    plain = make()
    output, _ = plain(x, lengths=[4, 2])
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in plain.parameters() if p.grad is not None)


def test_backward_twice(make: Make) -> None:
    plain = make()
    output, _ = plain(torch.randn(4, 2, 3))
    loss = output.square().sum()
    first = torch.autograd.grad(loss, list(plain.parameters()), retain_graph=True, allow_unused=True)
    again = torch.autograd.grad(loss, list(plain.parameters()), allow_unused=True)
    for one, other in zip(first, again, strict=True):
        assert one is other is None or torch.equal(one, other)


SANITIZERS = {
    "address,undefined": ("libasan.so", "libubsan.so"),
    "thread": ("libtsan.so",),
}
"""What the compiler is asked for, and the libraries that must be loaded first."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", SANITIZERS)
@pytest.mark.parametrize("name", ["dnc", "armin", "ntm", "recurrent"])
def test_sanitizers_find_nothing(name: str, kind: str, tmp_path: Path) -> None:
    """Over every option, two threads at work."""
    compiler = build.find_compiler()
    libraries = [
        subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in SANITIZERS[kind]
    ]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip(f"{compiler} has no sanitizer for {kind}")
    code = (
        f"from tests.engines.kernels.test_{name}_parity import MODELS, rough\n"
        + """
from tests.engines.kernels.comparison import random_state
import torch
torch.set_num_threads(2)
for name, make in MODELS.items():
    model = rough(make())
    model.engine = "fused"
    lengths, reset = torch.tensor([5, 2, 4]), torch.rand(5, 3) < 0.3
    for options in ({}, {"lengths": lengths, "reset": reset}):
        output, _ = model(torch.randn(5, 3, 3, requires_grad=True), random_state(model, 3), **options)
        output.square().sum().backward()
print("clean")
"""
    )
    own = {
        "CXXFLAGS": f"-O1 -g -fsanitize={kind}" + " -fno-sanitize-recover=undefined" * ("undefined" in kind),
        build.VARIABLE: str(tmp_path),
        "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "exitcode=66",
        "LD_PRELOAD": " ".join(libraries),
    }
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, **own}, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.strip().endswith("clean"), result.stderr[-3000:]
