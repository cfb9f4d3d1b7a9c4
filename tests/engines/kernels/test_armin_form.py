"""Which cells the kernel of ARMIN, AwTA and TARDIS takes, which it refuses by name, and that ``auto`` finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.kernels.comparison import needs_kernel
from torch import nn

import torchmann as tm
from torchmann.cells import (
    ARMINCell,
    GRUCell,
    HalfInterface,
    LinearInterface,
    LSTMCell,
    ReadFirstCell,
    TARDISCell,
    Zoneout,
)
from torchmann.core import OptionError
from torchmann.engines import eager
from torchmann.memories import SlotHistory

pytestmark = needs_kernel

N, W = 5, 4


def model(controller: Any = None, **options: Any) -> tm.Recurrent:
    controller = ARMINCell(3 + W, 6, read_size=W) if controller is None else controller
    return tm.Recurrent(ReadFirstCell(controller, SlotHistory(N, W), **options))


def with_address(make: Callable[[Any, Any], nn.Module]) -> tm.Recurrent:
    controller, memory = TARDISCell(3 + W, 6, read_size=W), SlotHistory(N, W)
    return tm.Recurrent(ReadFirstCell(controller, memory, address=make(controller, memory)))


def learned_temperature() -> tm.Recurrent:
    learned = model()
    learned.cell.memory.addressing.temperature.requires_grad_()
    return learned


def hooked() -> tm.Recurrent:
    watched = model()
    watched.cell.memory.addressing.register_forward_hook(lambda *_: None)
    return watched


def zoned() -> tm.Recurrent:
    controller = ARMINCell(3 + W, 6, read_size=W, output_reads=False)
    return model(Zoneout(controller, 0.5, output="zoned"))


SIZES = {"x": 3, "h": 6, "c": 6}
REFUSED: dict[str, tuple[Callable[[], tm.Recurrent], str]] = {
    "another controller": (lambda: model(GRUCell(3 + W, 6)), "see and gate all that is read"),
    "no feedback": (lambda: model(ARMINCell(3, 6, read_size=1), feedback=False), "see and gate all that is read"),
    "half the reads": (lambda: model(ARMINCell(3 + W, 6, read_size=W - 1)), "see and gate all that is read"),
    "zoned output": (zoned, "as it was before zoneout"),
    "cached writing": (lambda: model(writing="cached:3"), "no cached writing"),
    "another cell": (
        lambda: tm.Recurrent(tm.MemoryAugmentedCell(LSTMCell(3 + W, 6), SlotHistory(N, W))),
        "a ReadFirstCell with a SlotHistory, not a MemoryAugmentedCell",
    ),
    "another interface": (
        lambda: with_address(lambda controller, memory: LinearInterface(controller, memory, source="h")),
        "needs a HalfInterface",
    ),
    "another address": (
        lambda: with_address(lambda _, memory: HalfInterface("only_read", memory, SIZES, ["h", "x"])),
        "by a map of x and h, or of x and c",
    ),
    "learned temperature": (learned_temperature, "no gradient of the temperature"),
    "hooks": (hooked, "forward hooks"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_run_is_said_and_runs_automatically(name: str) -> None:
    make, message = REFUSED[name]
    refused, x = make().eval(), torch.randn(4, 2, 3)
    refused.engine = "fused"
    with pytest.raises(OptionError, match=f"the fused engine cannot run this, because .*{message}"):
        refused(x)
    refused.engine = "auto"
    output, _ = refused(x)
    refused.engine = "eager"
    torch.testing.assert_close(output, refused(x)[0])


@pytest.mark.parametrize("preset", ["recommended", "released", "released_pixel"])
@pytest.mark.parametrize("make", [tm.ARMIN, tm.AwTA, tm.TARDIS])
def test_auto_takes_the_kernel_for_every_preset(make: Any, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training under noise and in evaluation."""
    monkeypatch.delattr(eager, "unroll")
    plain = make(3, 6, slots=N, preset=preset)
    for _ in range(2):
        output, _ = plain(torch.randn(4, 2, 3))
        output.sum().backward()
        plain.eval()


def test_an_annealed_temperature_counts_at_once() -> None:
    plain = tm.ARMIN(3, 6, slots=N, sampling="softmax", engine="fused")
    x = torch.randn(4, 2, 3)
    before, _ = plain(x)
    plain.cell.memory.addressing.temperature.fill_(0.1)
    after, _ = plain(x)
    plain.engine = "eager"
    torch.testing.assert_close(after, plain(x)[0])
    assert not torch.equal(before, after)


def test_second_derivatives_are_refused() -> None:
    plain = tm.TARDIS(3, 6, slots=N, engine="fused")
    x = torch.randn(4, 2, 3, requires_grad=True)
    output, _ = plain(x)
    (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        gradient.sum().backward()
