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
from tests.engines.kernels.comparison import needs_kernel

import torchmann as tm
from torchmann.cells import FeedForwardCell
from torchmann.core import OptionError
from torchmann.core.gradients import differentiable_form
from torchmann.engines import fused
from torchmann.engines.kernels import build

SIZES: dict[str, Any] = {"slots": 6, "width": 4}


def model(**options: Any) -> tm.Recurrent:
    return tm.DNC(3, 5, **{**SIZES, "engine": "fused", **options})


REFUSED: dict[str, tuple[Any, str]] = {
    "no memory": (lambda: tm.Recurrent(FeedForwardCell(3, 5), engine="fused"), "no kernel for a FeedForwardCell"),
    "another memory": (lambda: tm.SAM(3, 5, **SIZES, reads=1, engine="fused"), "no kernel for a .* with a Sparse.*"),
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
