"""The backward by hand of ARMIN, AwTA and TARDIS is that of autograd, for each equation and for whole sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchmann as tm
from torchmann.core.noise import draw_noise
from torchmann.core.state import named_leaves
from torchmann.engines.kernels.armin import manual_backward as manual
from torchmann.engines.kernels.armin.manual_sequence import Sequence
from torchmann.memories.addressing import unit

B, N, W = 3, 5, 4


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def check(function: Callable[..., Tensor], backward: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    arguments = [drawn(*shape) for shape in shapes]
    value = function(*arguments)
    gradient = torch.randn_like(value)
    expected = torch.autograd.grad(value, arguments, gradient)
    torch.testing.assert_close(tuple(backward(*(each.detach() for each in arguments), gradient)), expected)


def test_layer_norm() -> None:
    def normalised(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        return F.layer_norm(x, gain.shape, gain, shift, eps=1e-3)

    check(normalised, lambda x, gain, _, d: manual.layer_norm_backward(x, gain, d), (B, N), (N,), (N,))


def test_unit() -> None:
    check(unit, lambda x, d: [manual.unit_backward(x, d)], (B, N))


def test_unit_of_zero_is_finite() -> None:
    zero = torch.zeros(1, N, dtype=torch.float64)
    assert manual.unit_backward(zero, torch.ones_like(zero)).isfinite().all()


def test_read() -> None:
    def read(memory: Tensor, weights: Tensor) -> Tensor:
        return (weights.unsqueeze(1) @ memory).squeeze(1)

    check(read, manual.read_backward, (B, N, W), (B, N))


def test_write() -> None:
    weights = torch.rand(B, N, dtype=torch.float64)

    def write(memory: Tensor, entry: Tensor) -> Tensor:
        return torch.lerp(memory, entry.unsqueeze(1), weights.unsqueeze(-1))

    check(write, lambda *a: manual.write_backward(weights, a[-1]), (B, N, W), (B, W))


TARDIS = {"slots": N, "width": W}
MODELS: dict[str, Callable[[], tm.Recurrent]] = {
    "armin": lambda: tm.ARMIN(2, 6, slots=N),
    "armin, softmax": lambda: tm.ARMIN(2, 6, slots=N, width=W, preset="released"),
    "armin, normalised": lambda: tm.ARMIN(2, 6, slots=N, width=W, layer_norm=True, zoneout_keep=0.8, temperature=0.5),
    "armin, reads hidden": lambda: tm.ARMIN(2, 6, slots=N, layer_norm=True, output_reads=False),
    "awta": lambda: tm.AwTA(2, 6, **TARDIS, layer_norm=True, zoneout_keep=0.8, normalisation="layer_norm"),
    "tardis": lambda: tm.TARDIS(2, 6, **TARDIS),
    "tardis, released": lambda: tm.TARDIS(2, 6, **TARDIS, preset="released", penalty=0.7, peepholes=True),
    "tardis, softmax": lambda: tm.TARDIS(
        2, 6, **TARDIS, sampling="softmax", read_keys=True, penalty=0.7, penalty_gradient=True, normalisation="l2",
        zoneout_keep=0.8, addressed_by="c", stored="mapped_with_input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("noisy", [True, False], ids=["noise", "no noise"])
@pytest.mark.parametrize("name", MODELS)
def test_whole_sequence(name: str, noisy: bool) -> None:
    model = MODELS[name]().double()
    model.engine = "eager"
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    state = model.initial_state(B)
    leaves = {key: leaf.detach().clone() for key, leaf in state.flatten().items()}
    leaves["memory.filled"] = torch.tensor([0, 2, N])
    leaves = {
        key: (torch.rand_like(leaf).requires_grad_() if leaf.is_floating_point() else leaf)
        for key, leaf in leaves.items()
    }
    state = state.unflatten(leaves)
    x, spec = torch.randn(7, B, 2, dtype=torch.float64, requires_grad=True), model.cell.noise_spec(B)
    noise = draw_noise(spec, 7, generator=None, like=x) if noisy and spec is not None else None
    seen: list[Any] = []
    model.cell.readout.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    model.eval()(x, state, noise=noise)
    outputs, reads = (torch.stack(values) for values in zip(*seen, strict=True))
    d_outputs, d_reads = torch.randn_like(outputs), torch.randn_like(reads)
    starts = {key: leaf for key, leaf in named_leaves(state) if leaf.requires_grad}
    weights = {key: p for key, p in model.cell.named_parameters() if "readout" not in key and "initial" not in key}
    wanted = [x, *starts.values(), *weights.values()]
    expected = torch.autograd.grad((outputs, reads), wanted, (d_outputs, d_reads), materialize_grads=True)

    with torch.no_grad():
        sequence = Sequence(model.cell)
        torch.testing.assert_close(sequence.forward(x, state, noise), (outputs, reads))
        d_x, d_weights, d = sequence.backward(d_outputs, d_reads)
    found = {"controller.h": d.h, "controller.c": d.c, "memory.memory": d.memory, "memory.usage": d.usage}
    found |= {"memory.read_weights": d.read_weights.unsqueeze(1), "reads": torch.zeros_like(state.reads)}
    results = [d_x, *(found[key] for key in starts), *(d_weights[key] for key in weights)]
    for key, ours, theirs in zip(["x", *starts, *weights], results, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11, msg=lambda text, key=key: f"{key}: {text}")
