"""thaihungle/UW-DNC, step by step: encoder, then decoder."""

from __future__ import annotations

from typing import Any

import torch
from tests.interop.oracles import dnc
from torch import Tensor
from torch.nn.functional import softplus

CELLS, MAPS = "param/controller_scope/shape_inference", "param/controller_scope/controller"
Arrays = dict[str, Tensor]


def state_shapes(size: dict[str, int], controller: str) -> dict[str, tuple[int, ...]]:
    """Of a state, without the batch."""
    slots, width, reads = size["N"], size["W"], size["R"]
    shapes = {
        "memory": (slots, width),
        "usage": (slots,),
        "precedence": (slots,),
        "link": (slots, slots),
        "write_weights": (slots,),
        "read_weights": (slots, reads),
        "read_vectors": (width, reads),
        "controller_h": (size["H"],),
    }
    return shapes | ({"controller_c": (size["H"],)} if controller == "lstm" else {})


def control(arrays: Arrays, x: Tensor, state: Arrays) -> Arrays:
    """The controller's state after a step."""
    seen, h = torch.cat([x, state["read_vectors"].flatten(1)], dim=1), state["controller_h"]
    if "controller_c" in state:
        kernel, bias = (arrays[f"{CELLS}/lstm_cell/{name}"] for name in ("kernel", "bias"))
        h, c = dnc.lstm(seen, h, state["controller_c"], kernel, bias, 1.0)
        return {"controller_h": h, "controller_c": c}

    def affine(name: str, value: Tensor) -> Tensor:
        return value @ arrays[f"{CELLS}/gru_cell/{name}/kernel"] + arrays[f"{CELLS}/gru_cell/{name}/bias"]

    reset, update = affine("gates", torch.cat([seen, h], dim=1)).sigmoid().chunk(2, dim=1)
    candidate = affine("candidate", torch.cat([seen, reset * h], dim=1)).tanh()
    return {"controller_h": update * h + (1 - update) * candidate}


def interface(arrays: Arrays, h: Tensor, size: dict[str, int]) -> Arrays:
    """The activated fields."""
    width, reads = size["W"], size["R"]
    sizes = [width * reads, reads, width, 1, width, width, reads, 1, 1, 3 * reads]
    parts = dnc.clipped(h @ arrays[f"{MAPS}/interface_weights"], arrays["const/clip"].item()).split(sizes, dim=1)
    return {
        "read_keys": parts[0].unflatten(1, (width, reads)),
        "read_strengths": 1 + softplus(parts[1]),
        "write_key": parts[2].unsqueeze(2),
        "write_strength": 1 + softplus(parts[3]),
        "erase": parts[4].sigmoid(),
        "write_vector": parts[5],
        "free_gates": parts[6].sigmoid(),
        "allocation_gates": parts[7].sigmoid(),
        "write_gates": parts[8].sigmoid(),
        "read_modes": parts[9].unflatten(1, (3, reads)).softmax(1),
    }


def content(arrays: Arrays, memory: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """``[B, N, heads]`` for keys ``[B, W, heads]``."""
    epsilon = arrays["const/l2_epsilon"].item()
    memory = memory / memory.square().sum(2, keepdim=True).clamp_min(epsilon).sqrt()
    keys = keys / keys.square().sum(1, keepdim=True).clamp_min(epsilon).sqrt()
    return (memory @ keys * strengths.unsqueeze(1)).softmax(1)


def write(arrays: Arrays, field: Arrays, state: Arrays) -> Arrays:
    """What writing changes."""
    weights = state["write_weights"].unsqueeze(1)
    usage = dnc.used(state["usage"], weights, field["free_gates"], state["read_weights"].mT)
    found = content(arrays, state["memory"], field["write_key"], field["write_strength"])[..., 0]
    mine = field["allocation_gates"]
    weights = (field["write_gates"] * (mine * dnc.allocation(usage) + (1 - mine) * found)).unsqueeze(1)
    erase, add = field["erase"].unsqueeze(1), field["write_vector"].unsqueeze(1)
    link, precedence = dnc.linked(state["link"].unsqueeze(1), state["precedence"].unsqueeze(1), weights)
    return {
        "usage": usage,
        "write_weights": weights[:, 0],
        "memory": dnc.written(state["memory"], weights, erase, add),
        "link": link[:, 0],
        "precedence": precedence[:, 0],
    }


def read(arrays: Arrays, field: Arrays, state: Arrays) -> Arrays:
    """What reading changes."""
    backward, forward = (way[:, :, 0].mT for way in dnc.ways(state["link"].unsqueeze(1), state["read_weights"].mT))
    found = content(arrays, state["memory"], field["read_keys"], field["read_strengths"])
    modes = field["read_modes"].unsqueeze(2)
    weights = modes[:, 0] * backward + modes[:, 1] * found + modes[:, 2] * forward
    return {"read_weights": weights, "read_vectors": state["memory"].mT @ weights}


def recorded(phase: str, field: Arrays, state: Arrays) -> Arrays:
    """What is recorded of a step."""
    own = {f"{phase}/{name}": field[name] for name in ("read_modes", "allocation_gates", "write_gates")}
    own[f"{phase}/read_weightings"] = state["read_weights"]
    own[f"{phase}/write_weightings"] = state["write_weights"]
    own[f"{phase}/usage_vectors"] = state["usage"]
    if phase == "encoder":
        names = ("memory", "controller_h", "controller_c")
        own |= {f"encoder/{name}": state[name] for name in names if name in state}
    return own


def run(arrays: Arrays, meta: dict[str, Any]) -> tuple[Tensor, Arrays]:
    """Outputs of the decoder, and what both record."""
    size, fill = meta["sizes"], arrays["const/initial_fill"].item()
    shapes = state_shapes(size, meta["options"]["controller"])
    state = dnc.start(shapes, arrays, arrays["input/encoder"].shape[1])
    for name in ("memory", "write_weights", "read_weights", "read_vectors"):
        state[name] = arrays.get(f"initial_state/{name}", state[name] + fill)

    outputs, states = [], {}
    for phase in ("encoder", "decoder"):
        steps = []
        for t, x in enumerate(arrays[f"input/{phase}"]):
            state = state | control(arrays, x, state)
            field = interface(arrays, state["controller_h"], size)
            complete = phase == "decoder" or "const/write_step_mask" not in arrays or arrays["const/write_step_mask"][t]
            mode = meta["options"]["hold_mem_mode"]
            if complete or mode == 3:
                state = state | write(arrays, field, state)
            if complete or mode == 1:
                state = state | read(arrays, field, state)
            steps.append(recorded(phase, field, state))
            output = state["controller_h"] @ arrays[f"{MAPS}/nn_output_weights"]
            output = output + state["read_vectors"].flatten(1) @ arrays[f"{MAPS}/mem_output_weights"]
            if phase == "decoder":
                outputs.append(dnc.clipped(output, arrays["const/clip"].item()))
        states |= {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    return torch.stack(outputs), states
