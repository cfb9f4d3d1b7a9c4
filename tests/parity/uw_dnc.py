"""thaihungle/UW-DNC, dense and uniform writing, on our parts.

Its output layer and interface are clipped but its controller is not, so the model is composed rather than `tm.DNC`.
"""

from __future__ import annotations

import torch
from tests.parity.golden import Golden, strip
from tests.parity.tf_lstm import lstm_parameters
from torch import Tensor
from torch.func import functional_call

import torchmann as tm
from torchmann.cells import GRUCell, LinearInterface, LinearReadout, LSTMCell
from torchmann.cells.gru import GRUState
from torchmann.cells.lstm import LSTMState
from torchmann.cells.memory_augmented import MemoryAugmentedState
from torchmann.core import Controller
from torchmann.memories import DNCMemory, DNCState

SLOT_AXES = {"read_weightings": (2,), "write_weightings": (2,), "usage_vectors": (2,), "memory": (2,)}
SLOT_AXES = {f"{phase}/{name}": axes for phase in ("encoder", "decoder") for name, axes in SLOT_AXES.items()}


def build(golden: Golden) -> tm.Recurrent:
    size, clip = golden.sizes, golden.arrays["const/clip"].item()
    memory = DNCMemory(
        size["N"],
        size["W"],
        reads=size["R"],
        similarity="cosine_clamped",
        epsilon=golden.arrays["const/l2_epsilon"].item(),
        usage_floor=0.0,
        usage_gradient=True,
        initial_value=golden.arrays["const/initial_fill"].item(),
    )
    seen = size["I"] + memory.read_size
    gru = golden.meta["options"]["controller"] == "gru"
    controller: Controller = GRUCell(seen, size["H"], reset_after=False) if gru else LSTMCell(seen, size["H"])
    interface = LinearInterface(controller, memory, bias=False, clip=clip)
    readout = LinearReadout(size["H"], memory.read_size, size["O"], bias=False, clip=clip)
    return tm.Recurrent(tm.MemoryAugmentedCell(controller, memory, interface=interface, readout=readout))


def head_major(reads: Tensor, axis: int, size: dict[str, int]) -> Tensor:
    """Read vectors and read keys are flattened word by word there, head by head here."""
    return reads.unflatten(axis, (size["W"], size["R"])).transpose(axis, axis + 1).flatten(axis, axis + 1)


def seen_rows(kernel: Tensor, size: dict[str, int]) -> Tensor:
    """The rows of a kernel in our order: input, reads head by head, previous h."""
    x, reads, h = kernel.split([size["I"], size["W"] * size["R"], size["H"]])
    return torch.cat([x, head_major(reads, 0, size), h])


def gru_parameters(source: dict[str, Tensor], size: dict[str, int]) -> dict[str, Tensor]:
    gates, candidate = source["gates/kernel"], source["candidate/kernel"]
    weight = torch.cat([seen_rows(gates, size), seen_rows(candidate, size)], dim=1).T
    bias = torch.cat([source["gates/bias"], source["candidate/bias"]])
    return {
        "weight_ih": weight[:, : -size["H"]],
        "weight_hh": weight[:, -size["H"] :],
        "bias_ih": bias,
        "bias_hh": torch.zeros_like(bias),  # it has one bias only
    }


def interface_columns(weight: Tensor, size: dict[str, int]) -> Tensor:
    """The columns of the interface in our order; theirs has other keys, and read modes that lie mode by mode."""
    head = size["W"] * size["R"]
    keys, others, modes = weight.split([head, weight.shape[1] - head - 3 * size["R"], 3 * size["R"]], dim=1)
    modes = modes.unflatten(1, (3, size["R"])).transpose(1, 2).flatten(1)
    return torch.cat([head_major(keys, 1, size), others, modes], dim=1)


def parameters(source: dict[str, Tensor], size: dict[str, int]) -> dict[str, Tensor]:
    """Our parameters by name."""
    cells, maps = (strip(source, f"controller_scope/{part}") for part in ("shape_inference", "controller"))
    if "lstm_cell/kernel" in cells:
        controller = lstm_parameters(seen_rows(cells["lstm_cell/kernel"], size), cells["lstm_cell/bias"])
    else:
        controller = gru_parameters(strip(cells, "gru_cell"), size)
    readout = torch.cat([maps["nn_output_weights"], head_major(maps["mem_output_weights"], 0, size)])
    return {
        **{f"cell.controller.{name}": value for name, value in controller.items()},
        "cell.interface.linear.weight": interface_columns(maps["interface_weights"], size).T,
        "cell.readout.linear.weight": readout.T,
    }


def initial_state(source: dict[str, Tensor]) -> MemoryAugmentedState | None:
    """The fed state; None where the source starts from its constant, as we do."""
    if not source:
        return None
    h = source["controller_h"]
    return MemoryAugmentedState(
        LSTMState(h, source["controller_c"]) if "controller_c" in source else GRUState(h),
        DNCState(
            memory=source["memory"],
            usage=source["usage"],
            write_weights=source["write_weights"].unsqueeze(1),
            read_weights=source["read_weights"].mT,
            precedence=source["precedence"].unsqueeze(1),
            link=source["link"].unsqueeze(1),
        ),
        source["read_vectors"].mT.flatten(1),
    )


def recorded(recorder: tm.Recorder, phase: str) -> dict[str, Tensor]:
    """The states of one phase under their names. Gates and modes exist at complete steps only."""
    states = {
        "read_weightings": recorder["state.memory.read_weights"].mT,
        "write_weightings": recorder["state.memory.write_weights"].squeeze(2),
        "usage_vectors": recorder["state.memory.usage"],
        "read_modes": recorder["memory.read_mode"].mT,
        "allocation_gates": recorder["memory.allocation_gate"],
        "write_gates": recorder["memory.write_gate"],
    }
    if phase == "encoder":
        states["memory"] = recorder["state.memory.memory"]
        for leaf in ("h", "c"):  # a GRU has no c
            if f"state.controller.{leaf}" in recorder:
                states[f"controller_{leaf}"] = recorder[f"state.controller.{leaf}"]
    return {f"{phase}/{name}": value for name, value in states.items()}


def at_complete_steps(golden: Golden) -> Golden:
    """The golden without the gates and modes that the source computes at held steps and then ignores."""
    writes = golden.arrays.get("const/write_step_mask")
    if writes is None:
        return golden
    gates = [f"state/encoder/{name}" for name in ("read_modes", "allocation_gates", "write_gates")]
    return Golden(golden.arrays | {key: golden.arrays[key][writes.bool()] for key in gates}, golden.meta)


def replay(golden: Golden, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    model = build(golden)
    ours = parameters(strip(leaves, "param"), golden.sizes)
    assert ours.keys() == dict(model.named_parameters()).keys()
    writes = golden.arrays.get("const/write_step_mask", torch.ones(golden.sizes["T_encoder"]))
    schedule = ["dense" if write else "hold" for write in writes]

    state, states = initial_state(strip(leaves, "initial_state")), {}
    for phase, kinds in (("encoder", schedule), ("decoder", None)):
        with tm.Recorder(model) as recorder:
            arguments = (leaves[f"input/{phase}"], state)
            output, state = functional_call(model, ours, arguments, {"schedule": kinds})
        states |= recorded(recorder, phase)
    return output, states
