"""The fused engine as an engine: when it runs, what it says when it does not, and how it composes with torch."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
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
from torchmann.core import OptionError, ShapeError
from torchmann.core.gradients import differentiable_form
from torchmann.engines import fused
from torchmann.engines.kernels import build, call, operator

SIZES: dict[str, Any] = {"slots": 6, "width": 4}


def model(**options: Any) -> tm.Recurrent:
    return tm.DNC(3, 5, **{**SIZES, "engine": "fused", **options})


REFUSED: dict[str, tuple[Any, str]] = {
    "no memory": (lambda: tm.LSTM(3, 5, engine="fused"), "no kernel for a LSTMCell"),
    "another memory": (lambda: tm.NTM(3, 5, slots=6, width=4, engine="fused"), "no kernel for a .* with a NTMMemory"),
    "write heads": (lambda: model(writes=2), "one write head, not 2"),
    "similarity": (lambda: model(similarity="cosine_clamped"), "no similarity .cosine_clamped."),
    "softmax over heads": (lambda: model(reads=2, read_mode_softmax="heads"), "softmax of the read modes"),
    "cached writing": (lambda: model(writing="cached:3"), "no cached writing"),
    "a stack": (lambda: model(layers=2), "not Stacked"),
    "gated retention": (lambda: tm.DAM(3, 5, **SIZES, gated_retention=True, engine="fused"), "gated_retention"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_run_is_said_and_runs_automatically(name: str) -> None:
    make, message = REFUSED[name]
    refused = make().eval()
    x = torch.randn(4, 2, 3)
    with pytest.raises(OptionError, match=f"the fused engine cannot run this, because .*{message}.*engine='auto'"):
        refused(x)
    refused.engine = "auto"
    output, _ = refused(x)
    refused.engine = "eager"
    torch.testing.assert_close(output, refused(x)[0])


def test_hooks_are_not_passed_over() -> None:
    hooked, calls = model(engine="auto"), []
    hooked.cell.interface.register_forward_hook(lambda *_: calls.append(1))
    hooked(torch.randn(4, 2, 3))
    assert len(calls) == 4


@needs_kernel
def test_recording_runs_eager() -> None:
    recorded = model()
    x = torch.randn(4, 2, 3)
    with tm.Recorder(recorded) as recorder:
        output, _ = recorded(x)
    assert recorder["write_weights"].shape[0] == 4
    torch.testing.assert_close(output, recorded(x)[0])


@needs_kernel
def test_dropout_on_the_way_to_the_readout() -> None:
    dam = tm.DAM(3, 5, **SIZES, bypass_dropout=0.5, engine="fused").train()
    x = torch.randn(6, 2, 3)
    results = []
    for engine in ("fused", "eager"):
        dam.engine = engine
        results.append(dam(x, generator=torch.Generator().manual_seed(3))[0])
    torch.testing.assert_close(*results)


@needs_kernel
def test_differentiable_form_and_second_derivatives_need_eager() -> None:
    with differentiable_form(), pytest.raises(OptionError, match="no differentiable form"):
        model()(torch.randn(4, 2, 3))
    x = torch.randn(4, 2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(model()(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="engine='eager'"):
        first.sum().backward()


@needs_kernel
def test_gradient_transforms_need_eager() -> None:
    automatic = model(engine="auto")
    x = torch.randn(4, 2, 3)
    gradient = torch.func.grad(lambda x: automatic(x)[0].sum())(x)
    leaf = x.clone().requires_grad_()
    automatic(leaf)[0].sum().backward()
    torch.testing.assert_close(gradient, leaf.grad)


@needs_kernel
@pytest.mark.parametrize("nested", [False, True])
def test_ensemble(nested: bool) -> None:
    """Under vmap each member gives what it gives alone; gradients are taken outside."""
    members = [model(reads=2, controller="layernorm_lstm") for _ in range(4)]
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
            torch.testing.assert_close(parameters[name].grad[number], parameter.grad)


SEQUENCE = fused.operator_for(model().cell).sequence


def arguments(cell: Any, keep: bool = True, **options: Any) -> list[Any]:
    kernel = fused.operator_for(cell).kernel
    form, weights = kernel.form_of(cell)
    state = [leaf.detach() for leaf in kernel.leaves_of(form, cell.initial_state(2))]
    integers, limits = kernel.encoded(form)
    given = {
        "x": torch.randn(4, 2, 3), "weights": [weight.detach() for weight in weights], "state": state, "fresh": [],
        "noise": [], "kinds": None, "lengths": None, "reset": None, "form": integers, "limits": limits, "members": 0, "keep": keep,
    }  # fmt: skip
    return list((given | options).values())


@needs_kernel
def test_operator_is_one_of_torch() -> None:
    given = arguments(model().cell)
    given[0].requires_grad_()
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(SEQUENCE, tuple(given), test_utils=tests)


@needs_kernel
def test_compiles_whole() -> None:
    torch._dynamo.reset()
    plain = model(reads=2)
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
    """A fused DNC with a schedule that does not ask how long the sequence is."""

    def __init__(self) -> None:
        super().__init__()
        self.model = model().eval()

    def forward(self, x: Tensor) -> Tensor:
        return fused.unroll(self.model.cell, x, self.model.initial_state(x.shape[1]), schedule=[])[0]


@needs_kernel
def test_exports_with_any_number_of_rows_and_steps() -> None:
    plain = Dense()
    T, B = torch.export.Dim("T", min=2, max=50), torch.export.Dim("B", min=2, max=50)
    exported = torch.export.export(plain, (torch.randn(5, 3, 3),), dynamic_shapes={"x": {0: T, 1: B}})
    x = torch.randn(9, 4, 3)
    torch.testing.assert_close(exported.module()(x), plain.model(x)[0])


@needs_kernel
def test_autocast_runs_in_float32() -> None:
    plain = model()
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = plain(x.bfloat16())
    assert output.dtype == torch.bfloat16 and state.memory.memory.dtype == torch.float32
    torch.testing.assert_close(output.float(), plain(x.bfloat16().float())[0], rtol=2e-2, atol=2e-2)


@needs_kernel
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": torch.zeros(4, 2, 3, dtype=torch.bfloat16)}, "float32 or float64"),
        ({"x": torch.zeros(2, 3)}, r"\[T, B, I\]"),
        ({"x": torch.zeros(4, 2, 3, dtype=torch.float64)}, "torch.float64 tensor"),
        ({"x": torch.zeros(4, 3, 3)}, r"state leaf h must be \(3, 5\)"),
        ({"x": torch.zeros(4, 2, 9)}, "weight_ih must be"),
        ({"lengths": torch.zeros(3, dtype=torch.int64)}, r"lengths must be \(2,\)"),
        ({"lengths": torch.zeros(2)}, "lengths must be a dense torch.int64"),
        ({"reset": torch.zeros(4, 3, dtype=torch.bool)}, r"reset must be \(4, 2\)"),
        ({"kinds": torch.zeros(3, dtype=torch.int8)}, r"kinds must be \(4,\)"),
        ({"members": 2}, "T, B, I"),
    ],
)
def test_nothing_unfit_reaches_a_pointer(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        SEQUENCE(*arguments(model().cell, **changed))


@needs_kernel
@settings(max_examples=60)
@given(data=st.data())
def test_fuzzed_tensors_are_refused(data: st.DataObject) -> None:
    """Whichever tensor has another size, dtype or layout: an error, never a call."""
    given_ = arguments(model().cell)
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
        SEQUENCE(*given_)


@needs_kernel
@pytest.mark.parametrize(
    "integers", [{1: 0}, {2: -1}, {4: 0}, {4: 2}, {5: 0}, {0: 0}, {6: 9}, {6: 1}, {6: -1}, {9: 1}, {11: 2}, {17: 0}]
)
def test_forms_out_of_range_are_refused(integers: dict[int, int]) -> None:
    given_ = arguments(model().cell)
    for place, value in integers.items():
        given_[8][place] = value
    with pytest.raises((ShapeError, OptionError)):
        SEQUENCE(*given_)


@needs_kernel
def test_lengths_out_of_range_are_refused() -> None:
    for lengths in ([5, 1], [-1, 2]):
        with pytest.raises(OptionError, match="lengths must lie in"):
            SEQUENCE(*arguments(model().cell, lengths=torch.tensor(lengths)))


@needs_kernel
@pytest.mark.parametrize("poison", [float("nan"), 1e30])
def test_nothing_is_read_that_was_not_written(poison: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and tape full of NaN change nothing."""
    real = call.buffer
    plain = [model(reads=3, writing="uniform:2"), tm.DAM(3, 5, **SIZES, blocks=2, links=True, engine="fused").eval()]
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


@needs_kernel
def test_nan_stays_nan() -> None:
    x = torch.randn(4, 2, 3)
    x[1, 0, 0] = float("nan")
    output, _ = model()(x)
    assert output[1:, 0].isnan().all() and output[:, 1].isfinite().all()


@needs_kernel
def test_padding_reaches_no_gradient() -> None:
    x = torch.randn(4, 2, 3)
    x[2:, 1] = float("nan")
    plain = model()
    output, _ = plain(x, lengths=[4, 2])
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in plain.parameters())


@needs_kernel
def test_backward_twice() -> None:
    plain = model()
    output, _ = plain(torch.randn(4, 2, 3))
    loss = output.square().sum()
    first = torch.autograd.grad(loss, list(plain.parameters()), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, list(plain.parameters())), first, rtol=0, atol=0)


def test_without_a_compiler_auto_falls_back_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "COMPILERS", ("no-such-compiler",))
    monkeypatch.delenv("CXX", raising=False)
    fused.library.cache_clear()
    fused._warn.cache_clear()
    try:
        with pytest.raises(OptionError, match="there is no no-such-compiler on this machine"):
            model()(torch.randn(4, 2, 3))
        with pytest.warns(UserWarning, match="models run in the eager engine, because .*no-such-compiler"):
            model(engine="auto")(torch.randn(4, 2, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model(engine="auto")(torch.randn(4, 2, 3))
    finally:
        fused.library.cache_clear()
        fused._warn.cache_clear()


@needs_kernel
@pytest.mark.slow
def test_processes_that_start_at_once_build_safely(tmp_path: Path) -> None:
    code = (
        "import torch, torchmann as tm; "
        "print(float(tm.DNC(3, 5, slots=6, width=4, engine='fused')(torch.ones(2, 1, 3))[0].sum().isfinite()))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, build.VARIABLE: str(tmp_path)},
        )
        for _ in range(3)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["1.0"] * 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".so"]  # and nothing half built


@needs_kernel
def test_chunks_may_begin_after_the_end_of_a_row() -> None:
    model = tm.DNC(3, 5, slots=6, width=4, allocation="softmax", dtype=torch.float64)
    x, lengths = torch.randn(9, 3, 3, dtype=torch.float64), torch.tensor([9, 2, 4])

    def results(engine: str) -> list[torch.Tensor]:
        model.engine = engine
        model.zero_grad()
        output, state = model(x, lengths=lengths)
        leaves = list(state.flatten().values())
        (output.square().sum() + sum(leaf.square().sum() for leaf in leaves)).backward()
        return [output, *leaves, *(parameter.grad for parameter in model.parameters())]

    for ours, theirs in zip(results("checkpointed:fused"), results("eager"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


SANITIZERS = {
    "address,undefined": ("libasan.so", "libubsan.so"),
    "thread": ("libtsan.so",),
}
"""What the compiler is asked for, and the libraries that must be loaded first."""


@needs_kernel
@pytest.mark.slow
@pytest.mark.parametrize("kind", SANITIZERS)
def test_sanitizers_find_nothing(kind: str, tmp_path: Path) -> None:
    """Over every option, two threads at work."""
    compiler = build.find_compiler()
    libraries = [
        subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in SANITIZERS[kind]
    ]
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip(f"{compiler} has no sanitizer for {kind}")
    code = """
from tests.engines.kernels.test_dnc_parity import MODELS, rough
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
    own = {
        "CXXFLAGS": f"-O1 -g -fsanitize={kind}" + " -fno-sanitize-recover=undefined" * ("undefined" in kind),
        build.VARIABLE: str(tmp_path),
        "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "exitcode=66",
        "LD_PRELOAD": " ".join(libraries),
    }
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, **own}, capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.strip().endswith("clean"), result.stderr[-3000:]
