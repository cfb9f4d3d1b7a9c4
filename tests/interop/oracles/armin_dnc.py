"""The DNC baseline of zoharli/armin, step by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import dnc
from torch import Tensor
from torch.nn.functional import softplus

DELTA = 1e-6


def memory_shapes(size: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Of the memory's state, without the batch."""
    slots, reads = size["N"], size["R"]
    return {
        "memory": (slots, size["W"]),
        "link_matrix": (1, slots, slots),
        "precedence": (1, slots),
        "read_weights": (reads, slots),
        "write_weights": (1, slots),
        "usage_vector": (slots,),
    }


def similarity(keys: Tensor, memory: Tensor) -> Tensor:
    """``[B, heads, N]``, divided by the width."""
    key_norm, memory_norm = (value.square().sum(-1).sqrt() + DELTA for value in (keys, memory))
    norms = keys.shape[-1] * torch.einsum("bk,bn->bkn", key_norm, memory_norm)
    return torch.einsum("bkw,bnw->bkn", keys, memory) / (norms + DELTA)


def content(keys: Tensor, strength: Tensor, memory: Tensor) -> Tensor:
    """``[B, heads, N]``."""
    return (similarity(keys, memory) * softplus(strength).unsqueeze(-1)).softmax(-1)


def access(arrays: dict[str, Tensor], h: Tensor, state: dict[str, Tensor], reads: int) -> dict[str, Tensor]:
    """The memory's state after a step."""

    def field(name: str) -> Tensor:
        name = f"param/memories.{name}_transform"
        return h @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    free = field("free_gates").sigmoid()
    usage = dnc.used(state["usage_vector"], state["write_weights"], free, state["read_weights"])
    allocation = dnc.allocation(DELTA + (1 - DELTA) * usage).unsqueeze(1)
    found = content(field("write_key").tanh().unsqueeze(1), field("write_strength"), state["memory"])
    mine, gate = (field(name).sigmoid().unsqueeze(-1) for name in ("allocation_gate", "write_gate"))
    write = gate * (mine * allocation + (1 - mine) * found)
    erase, add = field("erase_vector").sigmoid().unsqueeze(1), field("write_vector").tanh().unsqueeze(1)
    memory = dnc.written(state["memory"], write, erase, add)
    link, precedence = dnc.linked(state["link_matrix"], state["precedence"], write)

    keys = field("read_keys").tanh().unflatten(1, (reads, -1))
    backward, forward = (way[:, :, 0] for way in dnc.ways(link, state["read_weights"]))
    modes = field("read_modes").unflatten(1, (reads, 3)).softmax(1).unsqueeze(-1)
    found = content(keys, field("read_strengths"), memory)
    return {
        "memory": memory,
        "link_matrix": link,
        "precedence": precedence,
        "read_weights": modes[:, :, 0] * backward + modes[:, :, 1] * forward + modes[:, :, 2] * found,
        "write_weights": write,
        "usage_vector": usage,
    }


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and the states after each step."""
    batch = arrays["input"].shape[1]
    state = dnc.start(memory_shapes(meta["sizes"]), arrays, batch)
    h, c = (arrays[f"param/{name}_bias"].tanh().expand(batch, -1) for name in ("h", "c"))
    reads = arrays["param/last_read_bias"].expand(batch, -1)
    outputs, states = [], []
    for x in arrays["input"]:
        seen = torch.cat([x, reads], dim=1)
        h, c = dnc.lstm(seen, h, c, arrays["param/rnns.W_full"], arrays["param/rnns.bias"], 1.0)
        state = access(arrays, h, state, meta["sizes"]["R"])
        reads = (state["read_weights"] @ state["memory"]).flatten(1)
        output = torch.cat([h, reads], dim=1) @ arrays["param/output.weight"].T + arrays["param/output.bias"]
        outputs.append(output.sigmoid())
        states.append(state | {"h": h, "c": c, "read_vectors": reads})
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in states[0]}
