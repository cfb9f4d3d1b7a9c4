"""ARMIN, TARDIS and AwTA of zoharli/armin, step by step, in both versions of the code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Arrays = dict[str, Tensor]


def unit(vector: Tensor) -> Tensor:
    return vector / vector.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12)


def normed(groups: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Each group ``[B, groups, units]`` by itself; gain and shift lie group after group."""
    deviation = groups - groups.mean(-1, keepdim=True)
    scaled = deviation / (deviation.square().mean(-1, keepdim=True) + 1e-3).sqrt()
    return scaled.flatten(1) * gain + shift


def drawn(logits: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    """One-hot, with the gradient of the softmax."""
    soft = ((logits + gumbel) * tau).softmax(-1)
    hard = torch.nn.functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft)
    return hard - soft.detach() + soft


class Model:
    """The arrays of a case under the cell's own names."""

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        options = meta["options"]
        self.kind, self.pixel = options["model"], options["code"] == "pixel task"
        self.normed = bool(options["layer_norm"]) and self.pixel and self.kind == "awta"
        prefix = "param/malstms.0." if self.pixel else "param/cell."
        self.mine = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        self.top = [arrays[f"param/{'fc1' if self.pixel else 'fc'}.{part}"] for part in ("weight", "bias")]
        self.noise = {key.removeprefix("noise/"): value for key, value in arrays.items() if key.startswith("noise/")}
        self.tau = float(arrays.get("const/tau", 1.0))
        self.mean = arrays.get("const/zoneout_keep_mean")
        self.slots, self.width, self.hidden = (meta["sizes"][name] for name in ("slots", "r", "H"))

    def layer(self, name: str, value: Tensor) -> Tensor:
        return value @ self.mine[f"{name}.weight"].T + self.mine[f"{name}.bias"]

    def full(self, number: str, value: Tensor) -> Tensor:
        return value @ self.mine[f"W_full{number}"] + self.mine[f"bias{number}"]

    def start(self, batch: int) -> Arrays:
        def begun(name: str, noise: str) -> Tensor:
            value = self.mine[name].tanh().expand(batch, -1) if name in self.mine else torch.zeros(())
            return value + self.noise.get(noise, 0.0)

        memory = self.mine.get("hmem_bias", torch.zeros(1, self.slots, self.width, dtype=torch.float64))
        none = torch.zeros(batch, self.slots, dtype=torch.float64)
        state = {"c": begun("c_bias", "initial_c"), "memory": memory.expand(batch, -1, -1)}
        state |= {"read_weights": none} | ({"h": begun("h_bias", "initial_h")} if self.kind == "tardis" else {})
        return state if self.kind == "armin" else state | {"usage": none}

    def address(self, t: int, x: Tensor, state: Arrays) -> Tensor:
        if self.kind == "armin":
            logits = self.layer("fc", torch.cat([x, state["c"]], -1))
            return drawn(logits, self.noise["gumbel_address"][t], self.tau) if self.pixel else logits.softmax(-1)
        common = torch.cat([x, state["c"]], -1).unsqueeze(1).expand(-1, self.slots, -1)
        keys = self.mine["keys"].expand(len(x), -1, -1)
        counts = unit(state["usage"]).unsqueeze(1).expand(-1, self.slots, -1)
        seen = torch.cat([common, keys, state["memory"], counts], -1)
        logits = (self.layer("fc", seen).tanh() @ self.mine["vec_a"]).squeeze(-1) - 100 * state["read_weights"]
        if not self.pixel:
            logits = unit(logits)
        elif self.kind == "awta":
            logits = normed(logits.unsqueeze(1), self.mine["ln4.alpha"], self.mine["ln4.beta"])
        return drawn(logits, self.noise["gumbel_address"][t], self.tau)

    def tardis(self, t: int, x: Tensor, read: Tensor, state: Arrays) -> tuple[Tensor, Tensor, Tensor]:
        """Output, new c, new h."""
        seen = torch.cat([x, state["h"], read], -1)
        i, f, o = self.full("", seen).chunk(3, -1)
        scale = ((self.full("1", seen) + self.noise["gumbel_gate"][t]) * 10 / 3).sigmoid()
        scaled = torch.cat([x, scale[:, :1] * state["h"], scale[:, 1:] * read], -1)
        c = state["c"] * (f + 1).sigmoid() + i.sigmoid() * self.full("2", scaled).tanh()
        h = c.tanh() * o.sigmoid()
        return torch.cat([h, read], -1), c, h

    def armin(self, t: int, x: Tensor, read: Tensor, state: Arrays) -> tuple[Tensor, Tensor]:
        """Output and new c."""
        sizes = [self.hidden, self.width]
        gates = self.full("1", torch.cat([x, state["c"], read], -1))
        if self.normed:
            gates = normed(gates.unflatten(-1, (2, -1)), self.mine["ln3.alpha"], self.mine["ln3.beta"])
        keep_c, keep_r = gates.sigmoid().split(sizes, -1)
        z = self.full("", torch.cat([x, keep_c * state["c"], keep_r * read], -1))
        if self.normed:
            z = normed(z.unflatten(-1, (5, -1)), self.mine["ln1.alpha"], self.mine["ln1.beta"])
        i, j, f, o, o_r = z.split([*[self.hidden] * 4, self.width], -1)
        new = state["c"] * (f + 1).sigmoid() + i.sigmoid() * j.tanh()
        if self.normed:
            new = normed(new.unsqueeze(1), self.mine["ln2.alpha"], self.mine["ln2.beta"])
        if self.pixel and self.kind == "awta":
            output = torch.cat([new.tanh() * o.sigmoid(), read.tanh() * o_r.sigmoid()], -1)
        else:
            new = new.tanh()
            output = torch.cat([new * o.sigmoid(), read * o_r.sigmoid()], -1)
        mask = self.noise["zoneout_keep_mask"][t] if "zoneout_keep_mask" in self.noise else self.mean
        return output, new if mask is None else mask * new + (1 - mask) * state["c"]

    def stored(self, x: Tensor, value: Tensor) -> Tensor:
        if self.pixel and self.kind == "awta":
            return value
        name = "fc1" if self.kind == "tardis" else "trans"
        return self.layer(name, value if self.pixel else torch.cat([x, value], -1))

    def step(self, t: int, x: Tensor, state: Arrays) -> tuple[Tensor, Arrays]:
        weights = self.address(t, x, state)
        read = torch.einsum("bn,bnw->bw", weights, state["memory"])
        if self.kind == "tardis":
            output, c, h = self.tardis(t, x, read, state)
            entry, new = self.stored(x, h), {"c": c, "h": h}
        else:
            output, c = self.armin(t, x, read, state)
            entry, new = self.stored(x, c), {"c": c}
        slot = torch.nn.functional.one_hot(torch.tensor(t), self.slots).to(x) if t < self.slots else weights.detach()
        place = slot.expand(len(x), -1).unsqueeze(-1)
        new |= {"memory": place * entry.unsqueeze(1) + (1 - place) * state["memory"], "read_weights": weights}
        return output, new | ({} if self.kind == "armin" else {"usage": state["usage"] + weights})


def run(arrays: Arrays, meta: dict[str, Any]) -> tuple[Tensor, Arrays]:
    model = Model(arrays, meta)
    state = model.start(arrays["input"].shape[1])
    outputs, frames = [], []
    for t, x in enumerate(arrays["input"]):
        shown, state = model.step(t, x, state)
        frames.append(state | {"cell_output": shown} | ({} if model.pixel else {"h": shown[:, : model.hidden]}))
        outputs.append(shown @ model.top[0].T + model.top[1])
    output = torch.stack(outputs)
    states = {name: torch.stack([frame[name] for frame in frames]) for name in frames[0]}
    return output if model.pixel else output.sigmoid(), states
