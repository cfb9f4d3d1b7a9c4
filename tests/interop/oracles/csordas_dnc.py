"""RobertCsordas/dnc without masks, de-allocation and sharpening, step by step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from tests.interop.oracles import dnc
from torch import Tensor
from torch.nn.functional import softplus

EPSILON = 1e-6


def shapes(size: dict[str, int], widths: list[int]) -> dict[str, tuple[int, ...]]:
    """Of its parameters, with controller layers of these widths."""
    width, reads = size["W"], size["R"]
    maps = {
        "controller_to_controls": (3 * width + reads + 3 + reads * (width + 4), sum(widths)),
        "controller_to_out": (size["O"], sum(widths)),
        "read_to_out": (size["O"], reads * width),
    }
    maps |= {f"controller.in_to_all_{i}": (4 * hidden, size["I"] + reads * width) for i, hidden in enumerate(widths)}
    arrays = {f"{name}.weight": shape for name, shape in maps.items()}
    arrays |= {f"{name}.bias": shape[:1] for name, shape in maps.items()}
    arrays |= {f"controller.out_to_all_{i}.weight": (4 * hidden, hidden) for i, hidden in enumerate(widths)}
    pairs = enumerate(pairwise(widths))
    return arrays | {f"controller.prev_to_all_{i}.weight": (4 * above, below) for i, (below, above) in pairs}


def content(memory: Tensor, keys: Tensor, strength: Tensor) -> Tensor:
    """``[B, heads, N]``."""
    norms = torch.einsum("bk,bn->bkn", keys.norm(dim=2), memory.norm(dim=2))
    return (strength.unsqueeze(2) * (keys @ memory.mT) / (norms + EPSILON)).softmax(2)


def controller(seen: Tensor, hs: list[Tensor], cs: list[Tensor], arrays: dict[str, Tensor]) -> list[tuple[Tensor, ...]]:
    """h and c of each layer."""
    after: list[tuple[Tensor, ...]] = []
    for layer, (h, c) in enumerate(zip(hs, cs, strict=True)):
        gates = seen @ arrays[f"param/controller.in_to_all_{layer}.weight"].T
        gates = gates + arrays[f"param/controller.in_to_all_{layer}.bias"]
        gates = gates + h @ arrays[f"param/controller.out_to_all_{layer}.weight"].T
        if layer:
            gates = gates + after[-1][0] @ arrays[f"param/controller.prev_to_all_{layer - 1}.weight"].T
        f, i, o, g = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        after.append((o.sigmoid() * c.tanh(), c))
    return after


def controls(values: Tensor, width: int, reads: int) -> dict[str, Tensor]:
    """The fields, activated and by the names under which they are recorded."""
    sizes = [width, width, width, reads, 1, 1, 1, reads * width, reads, 3 * reads]
    key, erase, vector, free, beta, allocation, write, keys, betas, modes = values.split(sizes, dim=1)
    return {
        "write_key": key,
        "erase_vector": erase.sigmoid(),
        "write_vector": vector,
        "free_gates": free.sigmoid(),
        "write_betas": 1 + softplus(beta),
        "alloc_gate": allocation.sigmoid(),
        "write_gate": write.sigmoid(),
        "read_content_keys": keys.unflatten(1, (reads, width)),
        "read_betas": 1 + softplus(betas).unsqueeze(1),
        "balance": modes.unflatten(1, (reads, 3)).softmax(2),
    }


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and what is recorded at each step."""
    size, clip = meta["sizes"], arrays["const/clip_controls"].item()
    slots, width, reads, batch = size["N"], size["W"], size["R"], arrays["input"].shape[1]
    layers = sum("out_to_all" in name for name in arrays)
    widths = [arrays[f"param/controller.out_to_all_{layer}.weight"].shape[1] for layer in range(layers)]
    parts = {"memory": (slots, width), "read_data": (reads, width), "read_dist": (reads, slots), "write_dist": (slots,)}
    parts |= {"link": (slots, slots), "precedence": (slots,), "mem_usages": (slots,)}
    state = dnc.start(parts | dict.fromkeys("hc", (sum(widths),)), arrays, batch)

    outputs, states = [], []
    for step, x in enumerate(arrays["input"]):
        seen = torch.cat([x, state["read_data"].flatten(1)], dim=1)
        hs, cs = (list(state[name].split(widths, dim=1)) for name in "hc")
        h, c = (torch.cat(parts, dim=1) for parts in zip(*controller(seen, hs, cs, arrays), strict=True))
        values = h @ arrays["param/controller_to_controls.weight"].T + arrays["param/controller_to_controls.bias"]
        fields = controls(dnc.clipped(values, clip), width, reads)
        before = state
        state = fields | {"h": h, "c": c, "mem_usages": before["mem_usages"]}
        if step:
            written = before["write_dist"].detach().unsqueeze(1)
            state["mem_usages"] = dnc.used(before["mem_usages"], written, fields["free_gates"], before["read_dist"])
        state["alloc_dist"] = dnc.allocation((1 - EPSILON) * state["mem_usages"] + EPSILON)
        found = content(before["memory"], state.pop("write_key").unsqueeze(1), fields["write_betas"]).squeeze(1)
        gate = fields["alloc_gate"]
        state["write_dist"] = fields["write_gate"] * (gate * state["alloc_dist"] + (1 - gate) * found)
        head = [state[name].unsqueeze(1) for name in ("write_dist", "erase_vector", "write_vector")]
        state["memory"] = dnc.written(before["memory"], *head)
        link, precedence = dnc.linked(before["link"].unsqueeze(1), before["precedence"].unsqueeze(1), head[0])
        state["link"], state["precedence"] = link.squeeze(1), precedence.squeeze(1)
        backward, forward = (way.squeeze(2) for way in dnc.ways(link, before["read_dist"]))
        found = content(state["memory"], fields["read_content_keys"], fields["read_betas"].squeeze(1))
        state |= {"backward_dists": backward, "content_dist": found, "forward_dists": forward}
        state["read_dist"] = torch.einsum(
            "brk,brkn->brn", fields["balance"], torch.stack([backward, found, forward], 2)
        )
        state["read_data"] = state["read_dist"] @ state["memory"]
        states.append(state | {"precedence_weights": state["precedence"]})
        output = h @ arrays["param/controller_to_out.weight"].T + arrays["param/controller_to_out.bias"]
        output = output + state["read_data"].flatten(1) @ arrays["param/read_to_out.weight"].T
        outputs.append(output + arrays["param/read_to_out.bias"])
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in states[0]}
