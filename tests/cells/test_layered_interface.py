"""NTM3's interface: layer k of the controller drives write head k, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import GRUCell, LayeredInterface, LSTMCell
from torchmann.core import OptionError
from torchmann.memories import Distributed, DNCMemory, NTMMemory, StructuredNTMMemory

B, H = 3, 5


def build(levels: int, memory: NTMMemory | None = None) -> tuple[LayeredInterface, NTMMemory]:
    memory = StructuredNTMMemory(6, 4, levels=levels) if memory is None else memory
    controller = tm.Stacked([LSTMCell(3 + 4, H), *(LSTMCell(H, H) for _ in range(levels - 1))])
    return LayeredInterface(controller, memory), memory


def features(levels: int) -> dict[str, Tensor]:
    """Those of the layers, and the output, as if it were none of them: no layer has a way around its head."""
    return {name: torch.randn(B, H, requires_grad=True) for name in ("output", *(f"{k}.h" for k in range(levels)))}


@pytest.mark.parametrize("levels", [2, 3])
def test_a_layer_reaches_its_write_head_only(levels: int) -> None:
    interface, memory = build(levels)
    given = features(levels)
    reading, writing = memory.heads(interface(given))
    for source, feature in given.items():

        def reached(value: Tensor, feature: Tensor = feature) -> bool:
            (gradient,) = torch.autograd.grad(value.square().sum(), feature, allow_unused=True, retain_graph=True)
            return gradient is not None and bool(gradient.any())

        for name, field in writing.items():
            for k in range(levels):
                assert reached(field[:, k]) == (source == f"{k}.h"), (source, name, k)
        for name, field in reading.items():
            assert reached(field) == (source == "output"), (source, name)


def test_fields_of_a_head_are_one_affine_map_of_its_layer() -> None:
    interface, memory = build(2)
    given = features(2)
    _, writing = memory.heads(interface(given))
    for k, layer in enumerate(interface.to_write_head):
        raw = layer(given[f"{k}.h"]).split(interface.field_sizes, dim=-1)
        key, add = raw[list(memory.write_fields).index("write_key")], raw[list(memory.write_fields).index("write_add")]
        torch.testing.assert_close((writing["key"][:, k], writing["add"][:, k]), (key, add))


def test_in_ntm3_the_first_layer_writes_the_first_memory() -> None:
    """With the upper memory cut off from the lower, a change of layer 1's head shows in the first memory alone."""
    model = tm.NTM3(3, H, slots=6, width=4, a=1.0, b=0.0, trained=False)
    x = torch.randn(1, B, 3)
    _, before = model(x)
    with torch.no_grad():
        model.cell.interface.to_write_head[0].bias.add_(1.0)
    _, after = model(x)
    changed = [
        not torch.equal(old, new)
        for old, new in zip(*(s.memory.memory.unbind(1) for s in (before, after)), strict=True)
    ]
    assert changed == [True, False]


def test_any_ntm_memory_with_as_many_heads_will_do() -> None:
    interface, memory = build(2, NTMMemory(6, 4, writes=2, erase="coupled"))
    assert interface(features(2)).shape == (B, memory.interface_size)


@pytest.mark.parametrize(
    ("controller", "memory", "message"),
    [
        (
            lambda: tm.Stacked([GRUCell(7, H)]),
            lambda: StructuredNTMMemory(6, 4),
            "has 1 layers, but the memory 2 write",
        ),
        (
            lambda: tm.Stacked([GRUCell(7, H), GRUCell(H, H)]),
            lambda: StructuredNTMMemory(6, 4, written="first"),
            "has 2 layers, but the memory 1 write heads",
        ),
        (
            lambda: GRUCell(7, H),
            lambda: NTMMemory(6, 4),
            "layers of a Stacked controller .* got a GRUCell and a NTMMemory",
        ),
        (
            lambda: tm.Stacked([GRUCell(7, H), GRUCell(H, H)]),
            lambda: Distributed(lambda: StructuredNTMMemory(6, 4), 2),
            "write heads of one NTMMemory, got a Stacked and a Distributed",
        ),
        (lambda: tm.Stacked([GRUCell(7, H)]), lambda: DNCMemory(6, 4), "got a Stacked and a DNCMemory"),
    ],
)
def test_what_does_not_fit_is_refused(controller: Any, memory: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LayeredInterface(controller(), memory())
