"""taewonpark/DAM on our DAM, with the choices of its released code."""

from __future__ import annotations

import torch
from tests.parity.golden import Golden, strip
from tests.parity.tf_lstm import lstm_parameters
from torch import Tensor
from torch.func import functional_call

import torchmann as tm
from torchmann.cells.lstm import LSTMState
from torchmann.cells.memory_augmented import MemoryAugmentedNoise, MemoryAugmentedState
from torchmann.memories import DistributedState, DNCState

MEMORY = ("memory", "usage", "write_weights", "read_weights")
SLOT_AXES = {"memory": (3,), "usage": (3,), "write_weights": (4,), "read_weights": (4,)}
COLUMNS = (
    "write_vector",
    "erase",
    "free_gate",
    "allocation_gate",
    "write_gate",
    "write_key",
    "write_strength",
    "read_key",
    "read_strength",
)
"""The order of the fields in their interface; each holds all blocks, where each of our blocks holds all fields."""


def build(golden: Golden) -> tm.DAM:
    size, options = golden.sizes, golden.meta["options"]
    return tm.DAM(
        size["I"],
        size["H"],
        slots=size["N"],
        width=size["W"],
        blocks=size["K"],
        reads=size["R"],
        output_size=size["O"],
        preset="released",
        output_layers=options["output_mlp"],
        bypass_dropout=1 - options["keep_prob"],
        clip=golden.arrays["const/clip_value"].item(),
    )


def interface_columns(columns: Tensor, model: tm.DAM) -> Tensor:
    """The columns of the interface, its last axis, in our order: field by field in each block, then the gate."""
    memory = model.cell.memory
    shapes = memory.block.memory.fields
    sizes = [memory.blocks * torch.Size(shapes[name]).numel() for name in COLUMNS]
    *fields, gate = columns.split([*sizes, memory.blocks * memory.reads], dim=-1)
    by_name = {name: field.unflatten(-1, (memory.blocks, -1)) for name, field in zip(COLUMNS, fields, strict=True)}
    return torch.cat([torch.cat([by_name[name] for name in shapes], dim=-1).flatten(-2), gate], dim=-1)


def parameters(source: dict[str, Tensor], model: tm.DAM) -> dict[str, Tensor]:
    """Our parameters by name."""
    source = strip(source, "DAM")
    controller = lstm_parameters(source["lstm/w_gates"], source["lstm/b_gates"])
    interface = strip(source, "memory_access/interface_vector")
    layers = {}
    for number in range(len(model.cell.readout.layers)):
        layers[f"cell.readout.layers.{number}.weight"] = source[f"projection_{number}/kernel"].T
        layers[f"cell.readout.layers.{number}.bias"] = source[f"projection_{number}/bias"]
    return {
        **{f"cell.controller.controller.{name}": value for name, value in controller.items()},
        "cell.controller.norm.weight": source["layer_norm/scale"],
        "cell.controller.norm.bias": source["layer_norm/beta"],
        "cell.interface.linear.weight": interface_columns(interface["kernel"], model).T,
        "cell.interface.linear.bias": interface_columns(interface["bias"], model),
        **layers,
        "cell.readout.linear.weight": source["output_linear/w"].T,
        "cell.readout.linear.bias": source["output_linear/b"],
    }


def initial_state(source: dict[str, Tensor]) -> MemoryAugmentedState | None:
    """The fed state; None where the source starts from zeros, as we do. Its attentive gate goes nowhere."""
    if not source:
        return None
    return MemoryAugmentedState(
        LSTMState(source["controller_h"], source["controller_c"]),
        DistributedState(DNCState(**{name: source[name] for name in MEMORY}, precedence=(), link=())),
        source["access_output"].flatten(1),
    )


def noise(golden: Golden) -> MemoryAugmentedNoise | None:
    """The recorded mask of the bypass, where there was dropout."""
    kept = golden.arrays.get("noise/dropout_mask")
    return None if kept is None else MemoryAugmentedNoise(controller=None, kept=kept)


def replay(golden: Golden, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    model = build(golden)
    ours = parameters(strip(leaves, "param"), model)
    assert sorted(model.cell.memory.block.memory.fields) == sorted(COLUMNS)
    assert ours.keys() == dict(model.named_parameters()).keys()
    arguments = (leaves["input"], initial_state(strip(leaves, "initial_state")))
    with tm.Recorder(model) as recorder:
        output, _ = functional_call(model, ours, arguments, {"noise": noise(golden)})
    reads = recorder["state.reads"]
    states = {name: recorder[f"state.memory.blocks.{name}"] for name in MEMORY} | {
        "access_output": reads.unflatten(-1, (golden.sizes["R"], golden.sizes["W"])),
        "attentive_gate": recorder["memory.attentive_gate"].unsqueeze(-1),
        "controller_h": recorder["state.controller.h"],
        "controller_c": recorder["state.controller.c"],
    }
    return output, states
