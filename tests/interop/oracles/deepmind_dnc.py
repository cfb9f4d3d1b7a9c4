"""google-deepmind/dnc, step by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import dnc
from torch import Tensor

EPSILON = 1e-6


def state_shapes(size: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Of a state, without the batch."""
    slots, reads, writes = size["N"], size["R"], size["num_writes"]
    return {
        "access_output": (reads, size["W"]),
        "memory": (slots, size["W"]),
        "read_weights": (reads, slots),
        "write_weights": (writes, slots),
        "link": (writes, slots, slots),
        "precedence": (writes, slots),
        "usage": (slots,),
        "controller_h": (size["H"],),
        "controller_c": (size["H"],),
    }


def cosine(keys: Tensor, memory: Tensor) -> Tensor:
    """``[B, heads, N]``."""
    norms = [(value.square().sum(-1) + EPSILON).sqrt() for value in (keys, memory)]
    return torch.einsum("bkw,bnw->bkn", keys, memory) / (torch.einsum("bk,bn->bkn", *norms) + EPSILON)


def write_weights(field: Any, state: dict[str, Tensor], usage: Tensor) -> Tensor:
    """``[B, V, N]``: the heads allocate in turn on a simulated usage."""
    strength = torch.nn.functional.softplus(field("write_strengths"))
    keys = field("write_keys").unflatten(1, (strength.shape[1], -1))
    content = (cosine(keys, state["memory"]) * strength.unsqueeze(-1)).softmax(-1)
    allocation_gate, gate = field("allocation_gate").sigmoid(), field("write_gate").sigmoid()
    weights = []
    for head in range(strength.shape[1]):
        allocation = dnc.allocation(EPSILON + (1 - EPSILON) * usage)
        mine, through = allocation_gate[:, head : head + 1], gate[:, head : head + 1]
        weights.append(through * (mine * allocation + (1 - mine) * content[:, head]))
        usage = usage + (1 - usage) * mine * through * allocation
    return torch.stack(weights, dim=1)


def read_weights(field: Any, state: dict[str, Tensor], before: Tensor, writes: int) -> Tensor:
    """``[B, R, N]`` in the memory and the links of `state`."""
    reads = before.shape[1]
    keys = field("read_keys").unflatten(1, (reads, -1))
    strength = torch.nn.functional.softplus(field("read_strengths"))
    content = (cosine(keys, state["memory"]) * strength.unsqueeze(-1)).softmax(-1)
    mode = field("read_mode").unflatten(1, (reads, 1 + 2 * writes)).softmax(-1)
    backward, forward = dnc.ways(state["link"], before)
    weights = mode[:, :, -1:] * content
    for head in range(writes):
        weights = weights + mode[:, :, head, None] * backward[:, :, head]
        weights = weights + mode[:, :, writes + head, None] * forward[:, :, head]
    return weights


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and the states after each step."""
    size, clip = meta["sizes"], arrays["const/clip_value"].item()
    state = dnc.start(state_shapes(size), arrays, arrays["input"].shape[1])

    def affine(name: str, x: Tensor) -> Tensor:
        return x @ arrays[f"param/dnc/{name}/w"] + arrays[f"param/dnc/{name}/b"]

    outputs, states = [], []
    for x in arrays["input"]:
        seen = torch.cat([x, state["access_output"].flatten(1)], dim=1)
        kernel, bias = (arrays[f"param/dnc/lstm/{name}"] for name in ("w_gates", "b_gates"))
        h, c = dnc.lstm(seen, state["controller_h"], state["controller_c"], kernel, bias, 1.0)
        h, c = dnc.clipped(h, clip), dnc.clipped(c, clip)

        def field(name: str, h: Tensor = h) -> Tensor:
            return affine(f"memory_access/{name}", h)

        free = field("free_gate").sigmoid()
        usage = dnc.used(state["usage"], state["write_weights"].detach(), free, state["read_weights"])
        write = write_weights(field, state, usage)
        erase, add = (field(name).unflatten(1, (size["num_writes"], -1)) for name in ("erase_vectors", "write_vectors"))
        memory = dnc.written(state["memory"], write, erase.sigmoid(), add)
        link, precedence = dnc.linked(state["link"], state["precedence"], write)
        state = state | {"usage": usage, "write_weights": write, "memory": memory, "controller_h": h, "controller_c": c}
        state = state | {"link": link, "precedence": precedence}
        read = read_weights(field, state, state["read_weights"], size["num_writes"])
        state = state | {"read_weights": read, "access_output": read @ memory}
        states.append(state)
        outputs.append(dnc.clipped(affine("output_linear", torch.cat([h, (read @ memory).flatten(1)], dim=1)), clip))
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in state}
