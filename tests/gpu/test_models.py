"""Every model gives on an accelerator what it gives on the CPU: outputs, states, gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.gpu.devices import NEEDS_GPU, on_devices
from torch import Tensor

from torchmann import models
from torchmann.benchmarks import contestant, workload
from torchmann.core.noise import draw_noise
from torchmann.core.state import map_leaves, named_leaves
from torchmann.engines import Recurrent

SIZES = workload("W1/steps=9/batch=4/inputs=3/outputs=2/hidden=8/slots=9/width=4")
LENGTHS = [9, 3, 1, 7]
SELF_TESTED = ("armin", "dnc")


def model_named(name: str, engine: str) -> Recurrent:
    """A small model in training mode."""
    torch.manual_seed(0)
    built = contestant(f"{name}:{engine}{',heads=2' if name == 'rmc' else ''}")(SIZES)
    return next(part for part in built.modules() if isinstance(part, Recurrent))


def everything(model: Recurrent, device: str, lengths: list[int] | None = LENGTHS) -> dict[str, Tensor]:
    """Outputs, states and gradients of a copy of `model` on a device, brought back; its noise is drawn on the CPU."""
    model = copy.deepcopy(model).to(device)
    generator = torch.Generator().manual_seed(1)
    like = next(model.parameters()).detach().cpu()
    x = torch.rand(SIZES.steps, SIZES.batch, SIZES.inputs, generator=generator, dtype=like.dtype)
    noise = draw_noise(model.cell.noise_spec(SIZES.batch), SIZES.steps, generator=generator, like=like)
    x = x.to(device).requires_grad_()
    output, state = model(x, lengths=lengths, noise=map_leaves(lambda leaf: leaf.to(device), noise))
    found: dict[str, Any] = {"output": output, **{f"state.{name}": leaf for name, leaf in named_leaves(state)}}
    assert {value.device.type for value in found.values()} == {device}
    sum(value.square().sum() for value in found.values() if value.requires_grad).backward()
    found["gradient of x"] = x.grad
    found |= {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: value.detach().cpu() for name, value in found.items()}


def agree(found: dict[str, Tensor], expected: dict[str, Tensor], **tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@pytest.mark.parametrize(("name", "device"), on_devices(models.names(), cpu=SELF_TESTED))
def test_eager(name: str, device: str) -> None:
    model = model_named(name, "eager").double()
    agree(everything(model, device), everything(model, "cpu"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "device"), on_devices(models.names(), cpu=["lstm"]))
def test_auto_runs_the_eager_engine_there(name: str, device: str) -> None:
    eager, auto = model_named(name, "eager"), model_named(name, "auto")
    agree(everything(auto, device, None), everything(eager, device, None), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "device"), on_devices(["dnc", "ntm", "armin", "rmc"], cpu=["dnc"]))
def test_checkpointed(name: str, device: str) -> None:
    eager, checkpointed = model_named(name, "eager").double(), model_named(name, "checkpointed").double()
    agree(everything(checkpointed, device), everything(eager, "cpu"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "device"), on_devices(["sam"], cpu=["sam"]))
def test_sparse(name: str, device: str) -> None:
    eager, sparse = model_named(name, "eager").double(), model_named(name, "sparse").double()
    agree(everything(sparse, device), everything(eager, "cpu"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "device"), on_devices(["lstm", "ntm", "dnc", "dam"], cpu=SELF_TESTED))
def test_autocast_to_bfloat16(name: str, device: str) -> None:
    model = model_named(name, "eager")
    with torch.autocast(device, torch.bfloat16):
        found = everything(model, device)
    expected = everything(model, "cpu")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.isfinite().all(), name
    torch.testing.assert_close(found["output"].float(), expected["output"], rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("name", "device"), on_devices(["dnc"], cpu=["dnc"]))
def test_second_derivatives(name: str, device: str) -> None:
    model, x = model_named(name, "eager").double(), torch.rand(3, 2, SIZES.inputs, dtype=torch.float64)
    found = []
    for where in (device, "cpu"):
        moved = copy.deepcopy(model).to(where)
        parameters = list(moved.parameters())
        loss = moved(x.to(where))[0].square().sum()
        first = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        total = sum(value.square().sum() for value in first if value is not None)
        second = torch.autograd.grad(total, parameters, allow_unused=True)
        found.append([value.cpu() for value in second if value is not None])
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", models.names())
def test_a_step_makes_no_tensor_on_another_device_and_reads_none(name: str) -> None:
    """On the meta device both are errors, so this is known without an accelerator."""
    model = model_named(name, "eager").to("meta")
    x = torch.empty(SIZES.steps, SIZES.batch, SIZES.inputs, device="meta", requires_grad=True)
    output, state = model(x, lengths=LENGTHS)
    sum(leaf.square().sum() for leaf in (output, *state.flatten().values()) if leaf.requires_grad).backward()
    assert x.grad is not None and x.grad.is_meta and output.is_meta


@pytest.mark.gpu
@NEEDS_GPU[1]
def test_the_fused_engine_says_that_it_runs_on_the_cpu() -> None:
    with pytest.raises(Exception, match="on the CPU"):
        everything(model_named("dnc", "fused"), "cuda")
