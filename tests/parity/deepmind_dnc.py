"""google-deepmind/dnc on our DNC."""

from __future__ import annotations

import torch
from tests.parity.golden import Golden, strip
from tests.parity.tf_lstm import lstm_parameters
from torch import Tensor
from torch.func import functional_call

import torchmann as tm
from torchmann.cells.lstm import LSTMState
from torchmann.cells.memory_augmented import MemoryAugmentedState
from torchmann.memories import DNCState

FIELDS = {
    "read_key": "read_keys",
    "read_strength": "read_strengths",
    "write_key": "write_keys",
    "write_strength": "write_strengths",
    "erase": "erase_vectors",
    "write_vector": "write_vectors",
    "free_gate": "free_gate",
    "allocation_gate": "allocation_gate",
    "write_gate": "write_gate",
    "read_mode": "read_mode",
}
MEMORY = ("memory", "usage", "write_weights", "read_weights", "precedence", "link")
SLOT_AXES = {
    "memory": (2,),
    "usage": (2,),
    "write_weights": (3,),
    "read_weights": (3,),
    "precedence": (3,),
    "link": (3, 4),
}


def build(golden: Golden) -> tm.DNC:
    size = golden.sizes
    return tm.DNC(
        size["I"],
        size["H"],
        slots=size["N"],
        width=size["W"],
        reads=size["R"],
        writes=size["num_writes"],
        output_size=size["O"],
        strength="softplus",
        clip=golden.arrays["const/clip_value"].item(),
        clip_controller=golden.arrays["const/clip_value"].item(),
    )


def parameters(source: dict[str, Tensor], size: dict[str, int]) -> dict[str, Tensor]:
    """Our parameters by name: one map to the interface instead of one for each field."""
    source = strip(source, "dnc")
    controller = lstm_parameters(source["lstm/w_gates"], source["lstm/b_gates"])

    def field(ours: str, kind: str) -> Tensor:
        value = source[f"memory_access/{FIELDS[ours]}/{kind}"]
        if ours != "read_mode":
            return value
        per_head = value.unflatten(-1, (size["R"], 1 + 2 * size["num_writes"]))  # backward, forward, content
        backward, forward, content = per_head.split([size["num_writes"], size["num_writes"], 1], dim=-1)
        return torch.cat([backward, content, forward], dim=-1).flatten(-2)

    return {
        **{f"cell.controller.{name}": value for name, value in controller.items()},
        "cell.interface.linear.weight": torch.cat([field(name, "w") for name in FIELDS], dim=1).T,
        "cell.interface.linear.bias": torch.cat([field(name, "b") for name in FIELDS]),
        "cell.readout.linear.weight": source["output_linear/w"].T,
        "cell.readout.linear.bias": source["output_linear/b"],
    }


def initial_state(source: dict[str, Tensor]) -> MemoryAugmentedState | None:
    """The fed state; None where the source starts from zeros, as we do."""
    if not source:
        return None
    return MemoryAugmentedState(
        LSTMState(source["controller_h"], source["controller_c"]),
        DNCState(**{name: source[name] for name in MEMORY}),
        source["access_output"].flatten(1),
    )


def replay(golden: Golden, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    model = build(golden)
    ours = parameters(strip(leaves, "param"), golden.sizes)
    assert list(model.cell.memory.fields) == list(FIELDS)
    assert ours.keys() == dict(model.named_parameters()).keys()
    with tm.Recorder(model) as recorder:
        output, _ = functional_call(model, ours, (leaves["input"], initial_state(strip(leaves, "initial_state"))))
    reads = recorder["state.reads"]
    states = {name: recorder[f"state.memory.{name}"] for name in MEMORY} | {
        "access_output": reads.unflatten(-1, (golden.sizes["R"], golden.sizes["W"])),
        "controller_h": recorder["state.controller.h"],
        "controller_c": recorder["state.controller.c"],
    }
    return output, states
