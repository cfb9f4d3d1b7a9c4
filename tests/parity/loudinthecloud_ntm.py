"""loudinthecloud/pytorch-ntm on our NTM: memory and reads start from fixed numbers, each head has one map."""

from __future__ import annotations

import torch
from tests.parity import released_ntm
from tests.parity.golden import Golden, strip
from tests.parity.released_ntm import Maps, interface_rows, recorded, shift_taps
from torch import Tensor
from torch.func import functional_call

import torchmann as tm
from torchmann.memories import NTMMemory


def build(golden: Golden) -> tm.NTM:
    # added to every entry there, which only matters for zeros; as a bound of the squared norms it is the same here
    bound = golden.arrays["const/cosine_shift"].item()
    return released_ntm.build(golden, epsilon=bound**2, initial_memory="random", initial_reads="random")


def head(rows: Tensor, width: int) -> Maps:
    """Cut the rows of ``fc_read`` or ``fc_write`` into fields."""
    sizes = {"key": width, "strength": 1, "gate": 1, "shift": 3, "gamma": 1}
    if len(rows) > sum(sizes.values()):
        sizes |= {"erase": width, "add": width}
    maps = dict(zip(sizes, rows.split(list(sizes.values())), strict=True))
    return maps | {"shift": shift_taps(maps["shift"])}


def parameters(source: dict[str, Tensor], golden: Golden, memory: NTMMemory) -> dict[str, Tensor]:
    """Our parameters by name."""
    size = golden.sizes

    def interface(kind: str) -> Tensor:
        reads = [source[f"ntm.heads.{number}.fc_read.{kind}"] for number in range(0, 2 * size["heads"], 2)]
        writes = [source[f"ntm.heads.{number}.fc_write.{kind}"] for number in range(1, 2 * size["heads"], 2)]
        return interface_rows(
            memory, [head(rows, size["M"]) for rows in reads], [head(rows, size["M"]) for rows in writes]
        )

    controller = "ntm.controller."
    return {
        "cell.controller.weight_ih": source[f"{controller}lstm.weight_ih_l0"],
        "cell.controller.weight_hh": source[f"{controller}lstm.weight_hh_l0"],
        "cell.controller.bias": source[f"{controller}lstm.bias_ih_l0"] + source[f"{controller}lstm.bias_hh_l0"],
        "cell.controller.initial_h.weight": source[f"{controller}lstm_h_bias"].flatten(),
        "cell.controller.initial_c.weight": source[f"{controller}lstm_c_bias"].flatten(),
        "cell.interface.linear.weight": interface("weight"),
        "cell.interface.linear.bias": interface("bias"),
        "cell.readout.linear.weight": source["ntm.fc.weight"],
        "cell.readout.linear.bias": source["ntm.fc.bias"],
    }


def buffers(start: dict[str, Tensor], golden: Golden) -> dict[str, Tensor]:
    """The fixed numbers, the same for each row."""
    reads = torch.cat([start[f"read_{number}"] for number in range(golden.sizes["heads"])], dim=-1)
    return {"cell.memory.initial_memory.drawn": start["memory"][0], "cell.memory.initial_read.drawn": reads[0]}


def replay(golden: Golden, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    model = build(golden)
    ours = parameters(strip(leaves, "param"), golden, model.cell.memory)
    assert ours.keys() == dict(model.named_parameters()).keys()
    fixed = buffers(strip(leaves, "initial_state"), golden)
    with tm.Recorder(model) as recorder:
        output, _ = functional_call(model, (ours, fixed), (leaves["input"],))
    states = recorded(recorder, golden.sizes)
    layers = {leaf: states[leaf].unsqueeze(2) for leaf in ("h", "c")}
    return output.sigmoid(), states | layers
