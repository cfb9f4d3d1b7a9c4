"""taewonpark/DAM, step by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import dnc
from tests.interop.oracles.deepmind_dnc import EPSILON, cosine
from torch import Tensor
from torch.nn.functional import softplus


def state_shapes(size: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Of a state, without the batch."""
    blocks, slots, reads = size["K"], size["N"], size["R"]
    return {
        "access_output": (reads, size["W"]),
        "memory": (blocks, slots, size["W"]),
        "read_weights": (blocks, reads, slots),
        "write_weights": (blocks, 1, slots),
        "usage": (blocks, slots),
        "attentive_gate": (blocks, reads, 1),
        "controller_h": (size["H"],),
        "controller_c": (size["H"],),
    }


def normalised(arrays: dict[str, Tensor], h: Tensor) -> Tensor:
    """Layer normalisation of h."""
    scale, beta = (arrays[f"param/DAM/layer_norm/{name}"] for name in ("scale", "beta"))
    centred = h - h.mean(1, keepdim=True)
    return scale * centred / (centred.square().mean(1, keepdim=True) + EPSILON).sqrt() + beta


def fields(interface: Tensor, size: dict[str, int]) -> dict[str, Tensor]:
    """Each ``[B, K, heads, ...]``, in the order of the columns."""
    blocks, reads, width = size["K"], size["R"], size["W"]
    shapes = {
        "add": (1, width),
        "erase": (1, width),
        "free": (reads,),
        "allocation_gate": (1,),
        "write_gate": (1,),
        "write_key": (1, width),
        "write_strength": (1,),
        "read_key": (reads, width),
        "read_strength": (reads,),
        "gate": (reads,),
    }
    found, first = {}, 0
    for name, shape in shapes.items():
        last = first + blocks * torch.Size(shape).numel()
        found[name] = interface[:, first:last].reshape(-1, blocks, *shape)
        first = last
    assert first == interface.shape[1]
    return found


def block(field: dict[str, Tensor], before: dict[str, Tensor]) -> dict[str, Tensor]:
    """What one block carries on, before its read weights are gated."""
    free = field["free"].sigmoid()
    usage = dnc.used(before["usage"], before["write_weights"].detach(), free, before["read_weights"])
    similarity = cosine(field["write_key"], before["memory"])
    content = (similarity * softplus(field["write_strength"]).unsqueeze(-1)).softmax(-1)
    mine = field["allocation_gate"].sigmoid().unsqueeze(-1)
    allocation = dnc.allocation(EPSILON + (1 - EPSILON) * usage).unsqueeze(1)
    write = field["write_gate"].sigmoid().unsqueeze(-1) * (mine * allocation + (1 - mine) * content)
    memory = dnc.written(before["memory"], write, field["erase"].sigmoid(), field["add"])
    read = (cosine(field["read_key"], memory) * softplus(field["read_strength"]).unsqueeze(-1)).softmax(-1)
    return {"memory": memory, "usage": usage, "write_weights": write, "read_weights": read}


def readout(arrays: dict[str, Tensor], seen: Tensor, layers: int) -> Tensor:
    """ReLU layers and the output."""
    for layer in range(layers):
        name = f"param/DAM/projection_{layer}"
        seen = (seen @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]).relu()
    return seen @ arrays["param/DAM/output_linear/w"] + arrays["param/DAM/output_linear/b"]


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and the states after each step."""
    size, clip, keep = meta["sizes"], arrays["const/clip_value"].item(), arrays["const/keep_prob"].item()
    state = dnc.start(state_shapes(size), arrays, arrays["input"].shape[1])
    outputs, states = [], []
    for t, x in enumerate(arrays["input"]):
        seen = torch.cat([x, state["access_output"].flatten(1)], dim=1)
        kernel, bias = (arrays[f"param/DAM/lstm/{name}"] for name in ("w_gates", "b_gates"))
        h, c = dnc.lstm(seen, state["controller_h"], state["controller_c"], kernel, bias, 1.0)
        h, c = dnc.clipped(h, clip), dnc.clipped(c, clip)
        features = normalised(arrays, h)
        kernel, bias = (arrays[f"param/DAM/memory_access/interface_vector/{name}"] for name in ("kernel", "bias"))
        field = fields(features @ kernel + bias, size)
        names = ("memory", "usage", "write_weights", "read_weights")
        blocks = [
            block({name: value[:, k] for name, value in field.items()}, {name: state[name][:, k] for name in names})
            for k in range(size["K"])
        ]
        state = {name: torch.stack([after[name] for after in blocks], dim=1) for name in names}
        gate = field["gate"].softmax(1).unsqueeze(-1)
        state["read_weights"] = gate * state["read_weights"]
        reads = torch.einsum("bkrn,bknw->brw", state["read_weights"], state["memory"])
        state |= {"access_output": reads, "attentive_gate": gate, "controller_h": h, "controller_c": c}
        states.append(state)
        if keep < 1:
            features = arrays["noise/dropout_mask"][t] * features / keep
        seen = torch.cat([features, reads.flatten(1)], dim=1)
        outputs.append(dnc.clipped(readout(arrays, seen, len(meta["options"]["output_mlp"])), clip))
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in state}
