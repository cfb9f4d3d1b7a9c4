"""zoharli/armin: ARMIN, TARDIS and AwTA, in the code of the algorithmic tasks and in that of the pixel task.

``W_full*`` are ``[in, out]`` with rows of x, the state, and what was read; layers are ``[out, in]``. Sizes: I input, O
output, H state, r width of a slot, slots, key_size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.cells import ARMINState, MemoryAugmentedNoise, TARDISNoise, TARDISState, ZoneoutNoise
from torchmann.core.errors import DataError
from torchmann.engines import Recurrent
from torchmann.interop.arrays import Shape
from torchmann.interop.source_model import Arrays, SourceModel, Trace
from torchmann.memories import SlotHistoryNoise
from torchmann.models import ARMIN, TARDIS, AwTA

ALGORITHMIC, PIXEL = "algorithmic tasks", "pixel task"
NORMS = {"ln1": 5, "ln2": 1, "ln3": 2}
"""Layer norms of the pixel code's AwTA, each over so many groups of H units."""


class ReleasedARMIN(SourceModel):
    """Three models in two versions; which one is in the options ``model`` and ``code``."""

    source = "armin"
    defaults: ClassVar = {
        "forget_bias": 1.0,
        "tau": 1.0,
        "forbid_previous": 100.0,
        "gate_inverse_temperature": 10 / 3,
        "l2_epsilon": 1e-12,
        "layer_norm_eps": 1e-3,
        "zoneout_keep_mean": 0.0,
    }
    fixed = ("l2_epsilon", "layer_norm_eps")
    start_gradients = False
    noises = (
        "initial_c",
        "initial_h",
        "gumbel_address",
        "uniform_address",
        "gumbel_gate",
        "uniform_gate",
        "zoneout_keep_mask",
    )

    @property
    def kind(self) -> str:
        """Which model."""
        return self.option("model", "armin", "tardis", "awta")

    @property
    def pixel(self) -> bool:
        """Whether it is the code of the pixel task."""
        return self.option("code", ALGORITHMIC, PIXEL) == PIXEL

    @property
    def cell(self) -> str:
        """What the cell's arrays begin with."""
        return "malstms.0." if self.pixel else "cell."

    @property
    def normed(self) -> bool:
        """Whether layer norms are really called: the others have such modules, too."""
        return self.pixel and self.kind == "awta" and bool(self.options.get("layer_norm"))

    @property
    def stored(self) -> str | None:
        """The map of what is stored; the pixel code's AwTA stores its state as it is."""
        if self.kind == "tardis":
            return "fc1"
        return None if self.kind == "awta" and self.pixel else "trans"

    @property
    def keep(self) -> float | None:
        """The share of new values in a zoned state; None without zoneout."""
        if not self.options.get("zoneout") or self.kind == "tardis":
            return None
        return self.constants["zoneout_keep_mean"] or self.option("zoneout_keep")

    @property
    def unused(self) -> Sequence[str]:
        """The algorithmic code carries an h that only TARDIS looks at."""
        return () if self.kind == "tardis" else ("h",)

    def shapes(self) -> dict[str, Shape]:
        """The cell's own arrays, those of its addressing and of what is stored, and the output layer's."""
        inputs, outputs, hidden, width, slots = (self.size(name) for name in ("I", "O", "H", "r", "slots"))
        seen = inputs + hidden + width
        if self.kind == "tardis":
            cell: dict[str, Shape] = {"W_full": (seen, 3 * hidden), "W_full1": (seen, 2), "W_full2": (seen, hidden)}
        else:
            cell = {"W_full": (seen, 4 * hidden + width), "W_full1": (seen, hidden + width)}
        cell |= {name.replace("W_full", "bias"): shape[1:] for name, shape in cell.items()}
        if self.kind == "armin":
            cell |= {"fc.weight": (slots, inputs + hidden), "fc.bias": (slots,)}
        else:
            query, key = hidden // 4, self.size("key_size")
            cell |= {"fc.weight": (query, seen + key + slots), "fc.bias": (query,)}
            cell |= {"keys": (slots, key), "vec_a": (query, 1)}
        if self.stored:
            stored = hidden if self.pixel else inputs + hidden
            cell |= {f"{self.stored}.weight": (width, stored), f"{self.stored}.bias": (width,)}
        cell |= {name: (1, hidden) for name in self.started()}
        if "initial_memory" in self.starts():
            cell["hmem_bias"] = (1, slots, width)
        norms = {name: groups * hidden for name, groups in NORMS.items()} if self.normed else {}
        if self.pixel and self.kind == "awta":
            norms["ln4"] = slots
        cell |= {f"{name}.{part}": (size,) for name, size in norms.items() for part in ("alpha", "beta")}
        top = "fc1" if self.pixel else "fc"
        return {f"{self.cell}{name}": shape for name, shape in cell.items()} | {
            f"{top}.weight": (outputs, hidden + width),
            f"{top}.bias": (outputs,),
        }

    def started(self) -> tuple[str, ...]:
        """The arrays that a part of the state starts from."""
        if self.kind == "tardis":
            return "h_bias", "c_bias"
        return () if self.pixel and self.kind == "awta" else ("c_bias",)

    def starts(self) -> dict[str, Any]:
        """How our state starts."""
        starts = {"initial_controller": "tanh"} if self.started() else {}
        return starts if self.pixel and self.kind != "armin" else starts | {"initial_memory": "learned"}

    def temperature(self) -> float:
        """The inverse of tau, which ARMIN's algorithmic code does not look at."""
        if self.kind == "armin" and not self.pixel:
            return 1.0
        if self.constants["tau"] <= 0:
            raise DataError(f"tau of armin must be above 0 to draw a slot, got {self.constants['tau']:g}.")
        return 1 / self.constants["tau"]

    def build(self) -> Recurrent:
        """The model's keywords, of all three and of each."""
        options: dict[str, Any] = self.starts() | {
            "slots": self.size("slots"),
            "width": self.size("r"),
            "output_size": self.size("O"),
            "temperature": self.temperature(),
            "dtype": self.dtype,  # a temperature would not be exact in another
            "stored": "mapped_with_input" if not self.pixel else "mapped" if self.stored else "hidden",
        }
        if self.kind == "armin":
            sampling = "gumbel" if self.pixel else "softmax"
            options |= {"sampling": sampling, "squash_state": True, "squash_reads": False, "zoneout_keep": self.keep}
            return ARMIN(self.size("I"), self.size("H"), **options)
        options |= {
            "key_size": self.size("key_size"),
            "query_size": self.size("H") // 4,
            "penalty": self.constants["forbid_previous"],
            "penalty_gradient": True,
            "order": "penalise_first",
            "normalisation": "l2" if not self.pixel else "layer_norm" if self.kind == "awta" else "none",
        }
        if self.kind == "tardis":
            options |= {"addressed_by": "c", "gate_temperature": 1 / self.constants["gate_inverse_temperature"]}
            return TARDIS(self.size("I"), self.size("H"), **options)
        squash = {"squash_state": not self.pixel, "squash_reads": self.pixel}
        options |= squash | {"layer_norm": self.normed, "zoneout_keep": self.keep}
        return AwTA(self.size("I"), self.size("H"), **options)

    def parameters(self, source: Arrays) -> Arrays:
        """Part by part."""
        top = "fc1" if self.pixel else "fc"
        mine = {name.removeprefix(self.cell): value for name, value in source.items() if name.startswith(self.cell)}
        driver = "cell.controller.controller." if self.keep else "cell.controller."
        controller = self.tardis_cell(mine) if self.kind == "tardis" else self.armin_cell(mine)
        for name in self.started():
            ours = "h" if name == "h_bias" or self.kind != "tardis" else "c"
            controller[f"initial_{ours}.weight"] = mine[name][0]
        found = {f"{driver}{name}": value for name, value in controller.items()} | self.addressing(mine)
        if self.stored:
            found |= {f"cell.entry.linear.{part}": mine[f"{self.stored}.{part}"] for part in ("weight", "bias")}
        if "hmem_bias" in mine:
            found["cell.memory.initial_memory.weight"] = mine["hmem_bias"][0]
        return found | {f"cell.readout.linear.{part}": source[f"{top}.{part}"] for part in ("weight", "bias")}

    def columns(self, kernel: Tensor) -> Tensor:
        """A kernel ``[out, in]`` with our columns x, what was read, state."""
        x, state, read = kernel.T.split([self.size("I"), self.size("H"), self.size("r")], dim=1)
        return torch.cat([x, read, state], dim=1)

    def armin_cell(self, mine: Arrays) -> Arrays:
        """Gates i, g, f, o, o^r there; i, f, g, o, o^r here."""
        sizes = [*[self.size("H")] * 4, self.size("r")]

        def ordered(rows: Tensor, forget_bias: float = 0.0) -> Tensor:
            i, g, f, o, o_r = rows.split(sizes)
            return torch.cat([i, f + forget_bias, g, o, o_r])

        forget = self.constants["forget_bias"]
        found = {
            "weight_ig": self.columns(mine["W_full1"]),
            "bias_ig": mine["bias1"],
            "weight_go": ordered(self.columns(mine["W_full"])),
            "bias_go": ordered(mine["bias"], 0.0 if self.normed else forget),
        }
        if self.normed:  # the forget bias comes after the norm there
            found["gain"] = torch.cat([mine["ln3.alpha"], ordered(mine["ln1.alpha"]), mine["ln2.alpha"]])
            found["shift"] = torch.cat([mine["ln3.beta"], ordered(mine["ln1.beta"], forget), mine["ln2.beta"]])
        return found

    def tardis_cell(self, mine: Arrays) -> Arrays:
        """The gates are in our order."""
        i, f, o = mine["bias"].chunk(3)
        return {
            "weight": self.columns(mine["W_full"]),
            "bias": torch.cat([i, f + self.constants["forget_bias"], o]),
            "weight_scale": self.columns(mine["W_full1"]),
            "bias_scale": mine["bias1"],
            "weight_candidate": self.columns(mine["W_full2"]),
            "bias_candidate": mine["bias2"],
        }

    def addressing(self, mine: Arrays) -> Arrays:
        """One layer there sees x, the state, key, contents and usage side by side; each has a map of its own here."""
        if self.kind == "armin":
            return {f"cell.address.linear.{part}": mine[f"fc.{part}"] for part in ("weight", "bias")}
        sizes = [self.size("I") + self.size("H"), self.size("key_size"), self.size("r"), self.size("slots")]
        query, key, memory, usage = mine["fc.weight"].split(sizes, dim=1)
        parts = {"from_key": key, "from_memory": memory, "from_usage": usage, "score": mine["vec_a"].T}
        found = {f"cell.memory.addressing.{name}.weight": value for name, value in parts.items()}
        found |= {"cell.memory.addressing.keys": mine["keys"]}
        found |= {"cell.address.linear.weight": query, "cell.address.linear.bias": mine["fc.bias"]}
        if "ln4.alpha" in mine:
            found["cell.memory.addressing.norm.weight"] = mine["ln4.alpha"]
            found["cell.memory.addressing.norm.bias"] = mine["ln4.beta"]
        return found

    def output(self, output_TBO: Tensor) -> Tensor:
        """The algorithmic code ends in a logistic function."""
        return output_TBO if self.pixel else output_TBO.sigmoid()

    def start(self, batch_size: int, noise: Arrays) -> Any:
        """The pixel code adds noise to the state that TARDIS and AwTA start from."""
        state = self.model.initial_state(batch_size)
        controller = state.controller
        if "initial_h" in noise:
            controller = controller._replace(h=controller.h + noise["initial_h"])
        if "initial_c" in noise:
            name = "c" if self.kind == "tardis" else "h"
            controller = controller._replace(**{name: getattr(controller, name) + noise["initial_c"]})
        return state._replace(controller=controller)

    def noise(self, noise: Arrays) -> MemoryAugmentedNoise | None:
        """Gumbel noise of the address and of TARDIS's gates, and the mask of zoneout, in evaluation its mean."""
        if "gumbel_address" not in noise:
            return None
        address = noise["gumbel_address"]
        controller: Any = None
        if self.kind == "tardis":
            controller = TARDISNoise(noise["gumbel_gate"])
        elif self.keep:
            mean = address.new_full((*address.shape[:2], self.size("H")), self.keep)
            controller = ZoneoutNoise(None, ARMINState(noise.get("zoneout_keep_mask", mean)))
        return MemoryAugmentedNoise(controller=controller, memory=SlotHistoryNoise(address))

    def exported(self, state: Any) -> Arrays:
        """The state is c there, also where it has no gate of its own; memcnt counts the slots that are filled."""
        found = {
            "memory": state.memory.memory,
            "read_weights": state.memory.read_weights.squeeze(1),
            "memcnt": state.memory.filled,
        }
        if self.kind == "tardis":
            found |= {"c": state.controller.c, "h": state.controller.h}
        else:
            found["c"] = state.controller.h
        return found if self.kind == "armin" else found | {"usage": state.memory.usage}

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        controller: Any = ARMINState(arrays["c"])
        if self.kind == "tardis":
            controller = TARDISState(arrays["h"], arrays["c"])
        memory = state.memory._replace(
            memory=arrays["memory"],
            read_weights=arrays["read_weights"].unsqueeze(1),
            filled=arrays["memcnt"].long(),
            usage=arrays.get("usage", ()),
        )
        return state._replace(controller=controller, memory=memory)

    def observed(self, trace: Trace) -> Arrays:
        """The states but for the counter, and the cell's output, which is also where h is read off."""
        shown = trace["controller_output"]
        if self.kind == "tardis":
            shown = torch.cat([shown, trace["state.reads"]], dim=-1)
        found = trace.states() | {"cell_output": shown}
        del found["memcnt"]
        return found if self.pixel else found | {"h": shown[..., : self.size("H")]}
