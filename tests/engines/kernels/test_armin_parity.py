"""The kernel of ARMIN, AwTA and TARDIS gives what the eager engine gives: outputs, final states, every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.kernels.comparison import assert_parity, needs_kernel, random_state
from torch import nn

import torchmann as tm
from torchmann.cells import ReadFirstCell, TARDISCell, Zoneout
from torchmann.core.noise import draw_noise
from torchmann.memories import SlotHistory, TardisAddressing, Uniform

pytestmark = needs_kernel

N, W = 6, 4


def armin(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.ARMIN(3, 5, **{"slots": N, "width": W, **options})


def awta(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.AwTA(3, 5, **{"slots": N, "width": W, "penalty": 0.7, **options})


def tardis(**options: Any) -> Callable[[], tm.Recurrent]:
    return lambda: tm.TARDIS(3, 5, **{"slots": N, "width": W, "penalty": 0.7, **options})


def part_zoned() -> tm.Recurrent:
    """Zoneout of c alone, an output of before it, and dropout before the readout."""
    controller = Zoneout(TARDISCell(3 + W, 5, read_size=W), {"c": 0.6}, output="new")
    addressing = TardisAddressing(N, W, query_size=3, key_size=2)
    return tm.Recurrent(ReadFirstCell(controller, SlotHistory(N, W, addressing=addressing), bypass_dropout=0.3))


EVERYTHING: dict[str, Any] = {"zoneout_keep": 0.6, "temperature": 0.4, "stored": "mapped_with_input"}
MODELS: dict[str, Callable[[], tm.Recurrent]] = {
    "armin": armin(),
    "armin that stores h": armin(width=5),
    "armin, softmax": armin(sampling="softmax", temperature=0.3),
    "armin, released": armin(preset="released"),
    "armin, released for pixels": armin(preset="released_pixel"),
    "armin, layer norm": armin(layer_norm=True, squash_reads=False, **EVERYTHING),
    "armin, reads hidden": armin(layer_norm=True, output_reads=False, squash_state=True),
    "awta": awta(),
    "awta, layer norms": awta(layer_norm=True, normalisation="layer_norm", **EVERYTHING),
    "awta, softmax": awta(sampling="softmax", normalisation="l2", order="penalise_first", penalty_gradient=True),
    "tardis": tardis(),
    "tardis, released": tardis(preset="released"),
    "tardis, released for pixels": tardis(preset="released_pixel"),
    "tardis, everything": tardis(
        read_keys=True, peepholes=True, addressed_by="c", normalisation="layer_norm", penalty_gradient=True,
        **EVERYTHING,
    ),
    "tardis, soft everything": tardis(
        sampling="softmax", read_keys=True, peepholes=True, normalisation="layer_norm", order="penalise_first",
        penalty_gradient=True, **EVERYTHING,
    ),
    "tardis, learned starts": tardis(initial_controller="tanh", initial_memory="learned", output_reads=False),
    "tardis, part of the state zoned out": part_zoned,
    "armin, uniform writing": armin(writing=Uniform(3)),
    "armin, only writing held": armin(writing=Uniform(3, hold="write")),
    "armin, only reading held": armin(writing=Uniform(3, hold="read")),
    "tardis, only reading held": tardis(writing=Uniform(2, hold="read"), penalty_gradient=True),
    "tardis, random writing": tardis(writing="random:0.5"),
}  # fmt: skip


def rough(model: tm.Recurrent) -> tm.Recurrent:
    """Weights large enough that every gate does something."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def noise_for(model: tm.Recurrent, x: torch.Tensor) -> Any:
    return draw_noise(model.cell.noise_spec(x.shape[1]), len(x), generator=None, like=x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_options(name: str, dtype: torch.dtype) -> None:
    model, steps, batch = rough(MODELS[name]().to(dtype)), 19, 4
    x, state = torch.randn(steps, batch, 3, dtype=dtype), random_state(model, batch)
    lengths, reset = torch.tensor([19, 5, 1, 12]), torch.rand(steps, batch) < 0.2
    noise = noise_for(model, x)
    assert_parity(model.eval(), x, state, reset=reset)
    assert_parity(model, x, state, noise=noise)
    assert_parity(model, x, state, noise=noise, lengths=lengths, reset=reset, start=2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("sampling", ["gumbel", "softmax"])
@pytest.mark.parametrize(
    ("slots", "width", "hidden", "batch", "steps"),
    [
        (1, 1, 1, 1, 1),
        (1, 3, 3, 3, 2),
        (3, 17, 17, 1, 3),
        (17, 3, 1, 17, 1),
        (63, 17, 17, 2, 2),
        (65, 1, 63, 3, 2),
        (17, 63, 65, 17, 2),
        (65, 65, 65, 1, 17),
    ],
)
def test_sizes(slots: int, width: int, hidden: int, batch: int, steps: int, sampling: Any, dtype: torch.dtype) -> None:
    for model in (
        tm.ARMIN(2, hidden, slots=slots, width=width, sampling=sampling, layer_norm=True, dtype=dtype),
        tm.TARDIS(2, hidden, slots=slots, width=width, sampling=sampling, read_keys=True, dtype=dtype),
    ):
        x = torch.randn(steps, batch, 2, dtype=dtype)
        assert_parity(model, x, random_state(model, batch), noise=noise_for(model, x))
