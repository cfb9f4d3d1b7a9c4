"""DARMC is what its paper says: relational memory cores behind one controller, mixed by an attentive gate."""

from __future__ import annotations

from typing import Any

import torch

import torchmann as tm
from torchmann.memories import RelationalMemory

T, B, N, W = 5, 3, 4, 6


def darmc(**options: Any) -> tm.DARMC:
    return tm.DARMC(3, slots=N, width=W, heads=2, **options)


def test_darmc_of_one_block_is_an_rmc_behind_the_same_controller() -> None:
    model = darmc(hidden_size=5, blocks=1, output_size=2)
    cell = tm.MemoryAugmentedCell(
        model.cell.controller, RelationalMemory(N, W, heads=2), readout=model.cell.readout, feedback=False
    )
    kept = {name.replace("memory.block.memory", "memory"): value for name, value in model.cell.state_dict().items()}
    for name, value in kept.items():
        if name.startswith("memory."):
            kept[name] = value[0]
        elif name.startswith("interface."):
            kept[name] = value[:W]  # without the logit of the gate
    cell.load_state_dict(kept)
    x = torch.randn(T, B, 3)
    torch.testing.assert_close(model(x)[0], tm.Recurrent(cell)(x)[0])


def test_gradient_reaches_every_block_of_darmc() -> None:
    model = darmc(blocks=4, output_size=2)
    x = torch.randn(T, B, 3)
    output, _ = model(x)
    output[-1].square().sum().backward()
    for name, parameter in model.cell.memory.named_parameters():
        assert all(gradient.any() for gradient in parameter.grad), name
    rows, gate = model.cell.interface.linear.weight.grad.split([4 * W, 4])
    assert rows.any(-1).all() and gate.any(-1).all()


def test_darmc_mixes_the_memories_of_its_blocks() -> None:
    """``r_t = sum_k g_k out_k``, ``g = softmax_k(W q_t)``, and the output sees nothing else."""
    model, x = darmc(blocks=3), torch.randn(T, B, 3)
    with tm.Recorder(model) as recorder:
        output, _ = model(x)
    gate, memories = recorder["attentive_gate"], recorder["state.memory.blocks.memory"]
    logits = model.cell.interface({"output": recorder["state.controller.h"]})[..., -3:]
    torch.testing.assert_close(gate.squeeze(-1), logits.softmax(-1))
    torch.testing.assert_close(output, (gate * memories.flatten(3)).sum(2))
