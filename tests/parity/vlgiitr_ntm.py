"""vlgiitr/ntm-pytorch on our NTM: heads see the cell state, erasing is coupled to adding."""

from __future__ import annotations

import torch
from tests.parity import released_ntm
from tests.parity.golden import Golden, strip
from tests.parity.released_ntm import Maps, interface_rows, recorded, shift_taps
from torch import Tensor, nn
from torch.func import functional_call

import torchmann as tm
from torchmann.memories import NTMMemory

FIELDS = {
    "key": "key_fc",
    "strength": "key_strength_fc",
    "gate": "interpolation_gate_fc",
    "shift": "shift_weighting_fc",
    "gamma": "sharpen_factor_fc",
    "add": "write_data_fc",
}


def build(golden: Golden) -> tm.NTM:
    bound = golden.arrays["const/cosine_eps"].item()  # of the norms there, of their squares here
    return released_ntm.build(golden, head_input="c", erase="coupled", epsilon=bound**2, initial_memory="sigmoid")


def head(source: dict[str, Tensor], number: int, kind: str) -> Maps:
    """The maps of the head that runs as `number`."""
    names = FIELDS if number % 2 else {ours: theirs for ours, theirs in FIELDS.items() if ours != "add"}
    maps = {ours: source[f"heads.{number}.{theirs}.{kind}"] for ours, theirs in names.items()}
    return maps | {"shift": shift_taps(maps["shift"])}


def parameters(source: dict[str, Tensor], golden: Golden, memory: NTMMemory) -> dict[str, Tensor]:
    """Our parameters by name. The three maps of initial values see zeros: only their biases do anything."""
    size = golden.sizes

    def interface(kind: str) -> Tensor:
        heads = [head(source, number, kind) for number in range(2 * size["heads"])]
        return interface_rows(memory, heads[::2], heads[1::2])

    lstm = "controller.controller_net."
    return {
        "cell.controller.weight_ih": source[f"{lstm}weight_ih"],
        "cell.controller.weight_hh": source[f"{lstm}weight_hh"],
        "cell.controller.bias": source[f"{lstm}bias_ih"] + source[f"{lstm}bias_hh"],
        "cell.controller.initial_h.weight": source["controller.h_bias_fc.bias"],
        "cell.controller.initial_c.weight": source["controller.c_bias_fc.bias"],
        "cell.memory.initial_memory.weight": source["memory.memory_bias_fc.bias"].view(size["N"], size["M"]),
        "cell.interface.linear.weight": interface("weight"),
        "cell.interface.linear.bias": interface("bias"),
        "cell.readout.linear.weight": source["controller.out_net.weight"],
        "cell.readout.linear.bias": source["controller.out_net.bias"],
    }


class FromNoise(nn.Module):
    """A model whose first reads are given, another for each row; the rest of its start comes from its parameters."""

    def __init__(self, model: tm.Recurrent) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, reads: Tensor) -> Tensor:
        output, _ = self.model(x, self.model.initial_state(x.shape[1])._replace(reads=reads))
        return output


def replay(golden: Golden, leaves: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    model = build(golden)
    ours = parameters(strip(leaves, "param"), golden, model.cell.memory)
    assert ours.keys() == dict(model.named_parameters()).keys()
    reads = torch.cat([leaves[f"initial_state/prev_read_{number}"] for number in range(golden.sizes["heads"])], dim=-1)
    ours = {f"model.{name}": value for name, value in ours.items()}
    with tm.Recorder(model) as recorder:
        output = functional_call(FromNoise(model), ours, (leaves["input"], reads))
    return output.sigmoid(), recorded(recorder, golden.sizes)
