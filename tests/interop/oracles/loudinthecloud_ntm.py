"""loudinthecloud/pytorch-ntm, step by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import ntm
from torch import Tensor

LSTM = "ntm.controller.lstm"


def fields(size: dict[str, int], number: int) -> dict[str, int]:
    """The rows of a head's map; those with an odd number write."""
    rows = {"key": size["M"], "strength": 1, "gate": 1, "shift": 3, "gamma": 1}
    return rows | {"erase": size["M"], "add": size["M"]} if number % 2 else rows


def map_of(number: int) -> str:
    """What a head's map is called."""
    return f"ntm.heads.{number}." + ("fc_write" if number % 2 else "fc_read")


def start_shapes(size: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Of the fixed numbers that a run starts from, without the batch."""
    return {"memory": (size["N"], size["M"]), **{f"read_{head}": (size["M"],) for head in range(size["heads"])}}


def run(arrays: dict[str, Tensor], meta: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs, and the states after each step."""
    size, batch = meta["sizes"], arrays["input"].shape[1]

    def param(name: str) -> Tensor:
        return arrays[f"param/{name}"]

    def affine(name: str, x: Tensor) -> Tensor:
        return x @ param(f"{name}.weight").T + param(f"{name}.bias")

    hs = [row.expand(batch, -1) for row in param(f"{LSTM}_h_bias")]
    cs = [row.expand(batch, -1) for row in param(f"{LSTM}_c_bias")]
    memory = arrays["initial_state/memory"]
    reads = [arrays[f"initial_state/read_{head}"] for head in range(size["heads"])]
    weights = [torch.zeros(batch, size["N"], dtype=torch.float64)] * (2 * size["heads"])

    outputs, states = [], []
    for x in arrays["input"]:
        seen = torch.cat([x, *reads], dim=1)
        for layer in range(size["layers"]):
            bias = param(f"{LSTM}.bias_ih_l{layer}") + param(f"{LSTM}.bias_hh_l{layer}")
            w_ih, w_hh = param(f"{LSTM}.weight_ih_l{layer}"), param(f"{LSTM}.weight_hh_l{layer}")
            h, c = ntm.lstm(seen, hs[layer], cs[layer], w_ih, w_hh, bias)
            hs, cs = [*hs[:layer], h, *hs[layer + 1 :]], [*cs[:layer], c, *cs[layer + 1 :]]
            seen = h
        reads, before, weights = [], weights, []
        for number in range(2 * size["heads"]):
            rows = fields(size, number)
            values = affine(map_of(number), hs[-1]).split(list(rows.values()), dim=1)
            named = dict(zip(rows, values, strict=True))
            weights.append(ntm.address(memory, before[number], named, shift=1e-16))
            if number % 2:
                mine, erase, add = weights[-1].unsqueeze(2), named["erase"].sigmoid(), named["add"]
                memory = memory * (1 - mine * erase.unsqueeze(1)) + mine * add.unsqueeze(1)
            else:
                reads.append(ntm.read(memory, weights[-1]))
        outputs.append(affine("ntm.fc", torch.cat([hs[-1], *reads], dim=1)).sigmoid())
        states.append({"memory": memory, "h": torch.stack(hs, dim=1), "c": torch.stack(cs, dim=1)})
        states[-1] |= {f"read_{number}": value for number, value in enumerate(reads)}
        states[-1] |= {f"head_weights_{number}": value for number, value in enumerate(weights)}
    return torch.stack(outputs), {name: torch.stack([after[name] for after in states]) for name in states[0]}
