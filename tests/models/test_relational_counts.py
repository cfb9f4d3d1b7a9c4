"""RMC and DARMC have the parameters of their specification, part by part.

Sources: the relational memory core's two public implementations; "Distributed associative memory network with memory
refreshing loss", appendix A.
"""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

import torchmann as tm

SLOTS, HEAD_SIZE = 8, 32
CORES = [(6, 40), (8, 40), (8, 24)]
"""Heads and input size: of Nth farthest as in the paper and as in the port, and of a smaller input."""


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def rmc(heads: int, input_size: int, **options: Any) -> tm.RMC:
    return tm.RMC(input_size, slots=SLOTS, width=heads * HEAD_SIZE, heads=heads, device="meta", **options)


@pytest.mark.parametrize(("core", "published"), [*zip(CORES, [343_296, 605_184, 601_088], strict=True)])
def test_core(core: tuple[int, int], published: int) -> None:
    assert count(rmc(*core)) == published


@pytest.mark.parametrize(("core", "published"), [*zip(CORES, [321_602, 559_874, 555_778], strict=True)])
def test_core_of_the_port(core: tuple[int, int], published: int) -> None:
    assert count(rmc(*core, preset="port")) == published


def affine(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def relational_memory(width: int, key_size: int, heads: int) -> dict[str, int]:
    """One block without its input map."""
    qkv = 2 * heads * key_size + width
    return {
        "qkv": affine(width, qkv),
        "norms": 2 * qkv + 2 * 2 * width,
        "mlp": 2 * affine(width, width),
        "gates": 2 * affine(width, 2 * width),
    }


@pytest.mark.parametrize(
    ("blocks", "heads", "inputs", "layers", "outputs"),
    [(4, 6, 40, [256] * 4, 8 + 40), (8, 8, 23, [256] * 2, 21 + 23)],
    ids=["Nth farthest DARMC-4", "hull DARMC-8"],
)
def test_distributed_core(blocks: int, heads: int, inputs: int, layers: list[int], outputs: int) -> None:
    """``q = relu(FF x)``; each block a core on ``W_x q``; ``g = softmax(W_at q)``; ``y = MLP(r)``, with refreshing."""
    width = heads * HEAD_SIZE
    options: dict[str, Any] = {"slots": SLOTS, "width": width, "heads": heads, "blocks": blocks}
    model = tm.DARMC(inputs, **options, output_layers=layers, output_size=outputs, device="meta")
    parts = {
        "controller": affine(inputs, width),
        "interface": blocks * affine(width, width) + affine(width, blocks),
        "memory": blocks * sum(relational_memory(width, HEAD_SIZE, heads).values()),
        "readout": sum(affine(i, o) for i, o in zip([SLOTS * width, *layers], [*layers, outputs], strict=True)),
    }
    for name, expected in parts.items():
        assert count(getattr(model.cell, name)) == expected, name
    assert count(model) == sum(parts.values())
