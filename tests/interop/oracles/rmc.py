"""The relational memory core in plain NumPy, with weights ``[in, out]``: Sonnet's wiring, and that of its port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def normed(value: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Over as many last axes as there are in the gain."""
    axes = tuple(range(-gain.ndim, 0))
    mean, variance = value.mean(axes, keepdims=True), value.var(axes, keepdims=True)
    return gain * (value - mean) / np.sqrt(variance + 1e-5) + shift


def attention(qkv: np.ndarray, heads: int, key: int) -> np.ndarray:
    """Head by head ``[query, key, value]``, over rows ``[B, M, heads * (2 key + value)]``."""
    found = []
    for mine in np.split(qkv, heads, axis=-1):
        q, k, v = mine[..., :key], mine[..., key : 2 * key], mine[..., 2 * key :]
        logits = np.einsum("bmd,bnd->bmn", q, k) * key**-0.5
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        found.append(np.einsum("bmn,bnv->bmv", weights / weights.sum(-1, keepdims=True), v))
    return np.concatenate(found, -1)


class Sonnet:
    """Where each array is; the port overrides this."""

    def __init__(self, params: Arrays, options: dict[str, Any]) -> None:
        self.params = {name.removeprefix("relational_memory/"): value for name, value in params.items()}
        self.rounds, self.layers = options["num_blocks"], options["attention_mlp_layers"]
        self.forget_bias, self.input_bias = 1.0, 0.0

    def affine(self, name: str, value: np.ndarray) -> np.ndarray:
        return value @ self.params[f"{name}/w"] + self.params[f"{name}/b"]

    def norm(self, number: int, value: np.ndarray) -> np.ndarray:
        name = f"layer_norm_{number}" if number else "layer_norm"
        return normed(value, self.params[f"{name}/gamma"], self.params[f"{name}/beta"])

    def project(self, x: np.ndarray) -> np.ndarray:
        return self.affine("linear", x)

    def qkv(self, number: int, rows: np.ndarray) -> np.ndarray:
        return self.affine(f"linear_{number + 1}", rows)

    def mlp(self, rows: np.ndarray) -> np.ndarray:
        for layer in range(self.layers):
            rows = self.affine(f"mlp/linear_{layer}", rows)
            rows = np.maximum(rows, 0) if layer + 1 < self.layers else rows
        return rows

    def gates(self, x: np.ndarray, memory: np.ndarray) -> np.ndarray:
        from_input = self.affine(f"linear_{self.rounds + 1}", x)[:, None]
        return from_input + self.affine(f"linear_{self.rounds + 2}", np.tanh(memory))


class Port(Sonnet):
    """One round and one MLP layer for all; weights ``[out, in]``."""

    MODULES = ("qkv_layernorm", "attended_memory_layernorm", "attended_memory_layernorm2")

    def __init__(self, params: Arrays, options: dict[str, Any]) -> None:
        super().__init__(params, options)
        self.forget_bias, self.input_bias = params.get("forget_bias", 0.0), params.get("input_bias", 0.0)

    def affine(self, name: str, value: np.ndarray) -> np.ndarray:
        return value @ self.params[f"{name}.weight"].T + self.params[f"{name}.bias"]

    def norm(self, number: int, value: np.ndarray) -> np.ndarray:
        name = self.MODULES[number % 3]
        return normed(value, self.params[f"{name}.weight"], self.params[f"{name}.bias"])

    def project(self, x: np.ndarray) -> np.ndarray:
        return self.affine("input_projector", x)

    def qkv(self, number: int, rows: np.ndarray) -> np.ndarray:
        return self.affine("qkv_projector", rows)

    def mlp(self, rows: np.ndarray) -> np.ndarray:
        for _ in range(self.layers):
            rows = np.maximum(self.affine("attention_mlp.0", rows), 0)
        return rows

    def gates(self, x: np.ndarray, memory: np.ndarray) -> np.ndarray:
        from_input = self.affine("input_gate_projector", x)[:, None]
        return from_input + self.affine("memory_gate_projector", np.tanh(memory))


def run(
    wiring: Callable[..., Sonnet], params: Arrays, meta: dict[str, Any], x_TBI: np.ndarray, memory: np.ndarray | None
) -> np.ndarray:
    """The memory after each step ``[T, B, slots, width]``."""
    sizes, options = meta["sizes"], meta["options"]
    width, key = sizes["heads"] * sizes["head_size"], options["key_size"] or sizes["head_size"]
    core = wiring(params, options)
    if memory is None:
        memory = np.broadcast_to(np.eye(sizes["slots"], width), (x_TBI.shape[1], sizes["slots"], width))
    found = []
    for x in x_TBI:
        row = core.project(x)
        rows = np.concatenate([memory, row[:, None]], axis=1)
        for number in range(core.rounds):
            qkv = core.norm(3 * number, core.qkv(number, rows))
            rows = core.norm(3 * number + 1, rows + attention(qkv, sizes["heads"], key))
            rows = core.norm(3 * number + 2, rows + core.mlp(rows))
        new = rows[:, :-1]
        if options["gate_style"] is not None:
            first, second = np.split(core.gates(row, memory), 2, axis=-1)
            new = sigmoid(first + core.input_bias) * np.tanh(new) + sigmoid(second + core.forget_bias) * memory
        memory = new
        found.append(memory)
    return np.stack(found)
