"""vlgiitr/ntm-pytorch, step by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import ntm
from torch import Tensor

LSTM = "controller.controller_net"
MAPS = {
    "key": "key_fc",
    "strength": "key_strength_fc",
    "gate": "interpolation_gate_fc",
    "shift": "shift_weighting_fc",
    "gamma": "sharpen_factor_fc",
    "add": "write_data_fc",
}


def start_shapes(size: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Of what is drawn before a run, without the batch."""
    return {f"prev_read_{head}": (size["M"],) for head in range(size["heads"])}


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and the states after each step."""
    size, batch = meta["sizes"], arrays["input"].shape[1]

    def param(name: str) -> Tensor:
        return arrays[f"param/{name}"]

    def affine(name: str, x: Tensor) -> Tensor:
        return x @ param(f"{name}.weight").T + param(f"{name}.bias")

    def constant(name: str) -> Tensor:
        return affine(f"{name}_bias_fc", torch.zeros(batch, 1, dtype=torch.float64))

    memory = constant("memory.memory").sigmoid().view(batch, size["N"], size["M"])
    h, c = constant("controller.h"), constant("controller.c")
    weights = [torch.zeros(batch, size["N"], dtype=torch.float64)] * (2 * size["heads"])
    nothing = torch.zeros(batch, size["M"], dtype=torch.float64)
    reads = [arrays.get(f"initial_state/prev_read_{head}", nothing) for head in range(size["heads"])]
    bias = param(f"{LSTM}.bias_ih") + param(f"{LSTM}.bias_hh")

    outputs, states = [], []
    for x in arrays["input"]:
        seen = torch.cat([x, *reads], dim=1)
        h, c = ntm.lstm(seen, h, c, param(f"{LSTM}.weight_ih"), param(f"{LSTM}.weight_hh"), bias)
        reads, before, weights = [], weights, []
        for number in range(2 * size["heads"]):
            names = {field: f"heads.{number}.{name}" for field, name in MAPS.items() if number % 2 or field != "add"}
            fields = {field: affine(name, c) for field, name in names.items()}
            weights.append(ntm.address(memory, before[number], fields))
            if number % 2:
                mine = weights[-1].unsqueeze(2)
                memory = mine * fields["add"].unsqueeze(1) + (1 - mine) * memory
            else:
                reads.append(ntm.read(memory, weights[-1]))
        outputs.append(affine("controller.out_net", torch.cat([h, *reads], dim=1)).sigmoid())
        states.append({"memory": memory, "h": h, "c": c})
        states[-1] |= {f"read_{number}": value for number, value in enumerate(reads)}
        states[-1] |= {f"head_weights_{number}": value for number, value in enumerate(weights)}
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in states[0]}
