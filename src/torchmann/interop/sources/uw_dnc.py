"""thaihungle/UW-DNC: the DNC of the uniform-writing study, with dense and with uniform writing.

A run is an encoder's part, then a decoder's with the same parameters and the carried state; the decoder alone gives
outputs, and writes at each step. Weights are ``[in, out]``. Read vectors and read keys lie word by word there, head by
head here; read modes lie mode by mode. Sizes: I input, O output, H controller, N slots, W width, R read heads.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.cell import DENSE
from torchmann.core.errors import DataError
from torchmann.core.recorder import Recorder
from torchmann.interop.arrays import Shape, check_arrays
from torchmann.interop.source_model import Arrays, SourceModel, Trace
from torchmann.interop.sources.layouts import below, fused_lstm, limit, linear_shapes, under
from torchmann.memories import DNCState
from torchmann.memories.writing import HOLD, HOLD_READ, HOLD_WRITE
from torchmann.models import DNC

GRU_PARTS = ("gates", "candidate")
CELLS, MAPS = "controller_scope/shape_inference", "controller_scope/controller"
HELD = {0: HOLD, 1: HOLD_WRITE, 2: HOLD, 3: HOLD_READ}
"""What becomes, by the option ``hold_mem_mode``, of the steps that ``write_step_mask`` does not mark."""
REFUSED = ("cache", "dual_controller", "embeddings")
"""Options that must be off."""
ENCODER_ONLY = ("memory", "controller_h", "controller_c")
"""What is recorded of the encoder alone."""


class UniformWritingDNC(SourceModel):
    """A DNC without biases in the maps to interface and output, starting just above zero."""

    source = "uw-dnc"
    defaults: ClassVar = {"initial_fill": 1e-6, "clip": 0.0, "forget_bias": 1.0, "l2_epsilon": 1e-12}
    series = ("write_step_mask",)
    inputs = ("encoder", "decoder")
    start_gradients = False
    slot_axes: ClassVar = {
        f"{part}/{name}": (2,)
        for part in inputs
        for name in ("read_weightings", "write_weightings", "usage_vectors", "memory")
    }

    def shapes(self) -> dict[str, Shape]:
        """A controller, an interface, an output layer in two parts."""
        inputs, outputs, hidden, width, reads = (self.size(name) for name in ("I", "O", "H", "W", "R"))
        seen = inputs + width * reads + hidden
        if self.option("controller", "lstm", "gru") == "lstm":
            shapes = linear_shapes(f"{CELLS}/lstm_cell", seen, 4 * hidden, "kernel", "bias")
        else:
            shapes = linear_shapes(f"{CELLS}/gru_cell/gates", seen, 2 * hidden, "kernel", "bias")
            shapes |= linear_shapes(f"{CELLS}/gru_cell/candidate", seen, hidden, "kernel", "bias")
        return shapes | {
            f"{MAPS}/interface_weights": (hidden, width * reads + 3 * width + 5 * reads + 3),
            f"{MAPS}/nn_output_weights": (hidden, outputs),
            f"{MAPS}/mem_output_weights": (width * reads, outputs),
        }

    def build(self) -> DNC:
        """Limits for interface and output, none for the controller."""
        for name in REFUSED:
            if self.options.get(name):
                raise DataError(f"{self.source} with the option {name!r} can't be built: it must be off.")
        clip = limit(self.constants["clip"])
        return DNC(
            self.size("I"),
            self.size("H"),
            slots=self.size("N"),
            width=self.size("W"),
            reads=self.size("R"),
            output_size=self.size("O"),
            controller={"lstm": "lstm", "gru": "gru_reset_before"}[self.options["controller"]],
            bias=False,
            clip=clip,
            clip_interface=clip,
            clip_controller=None,
            similarity="cosine_clamped",
            epsilon=self.constants["l2_epsilon"],
            usage_floor=0.0,
            usage_gradient=True,
            initial_value=self.constants["initial_fill"],
        )

    def parameters(self, source: Arrays) -> Arrays:
        """Rows and columns that belong to reads, read keys and read modes in our order."""
        cells, maps = below(source, CELLS), below(source, MAPS)
        if self.options["controller"] == "lstm":
            kernel = self.seen_rows(cells["lstm_cell/kernel"])
            controller = fused_lstm(kernel, cells["lstm_cell/bias"], self.constants["forget_bias"])
        else:
            kernels, biases = ([cells[f"gru_cell/{part}/{kind}"] for part in GRU_PARTS] for kind in ("kernel", "bias"))
            weight = self.seen_rows(torch.cat(kernels, dim=1)).T
            weight_ih, weight_hh = weight.tensor_split([-self.size("H")], dim=1)
            controller = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": torch.cat(biases)}
        readout = [maps["nn_output_weights"].T, self.head_by_head(maps["mem_output_weights"].T)]
        return {
            **under("cell.controller", controller),
            "cell.interface.linear.weight": self.interface_columns(maps["interface_weights"]).T,
            "cell.readout.linear.weight": torch.cat(readout, dim=1),
        }

    def head_by_head(self, words: Tensor) -> Tensor:
        """The last axis, read vectors or keys that lie word by word, head by head."""
        return words.unflatten(-1, (self.size("W"), self.size("R"))).transpose(-1, -2).flatten(-2)

    def seen_rows(self, kernel: Tensor) -> Tensor:
        """The rows of a kernel in our order: input, reads head by head, previous h."""
        x, reads, h = kernel.split([self.size("I"), self.size("W") * self.size("R"), self.size("H")])
        return torch.cat([x, self.head_by_head(reads.T).T, h])

    def interface_columns(self, weight: Tensor) -> Tensor:
        """The columns of the interface in our order: read keys, then fields as ours, read modes last."""
        keys, modes = self.size("W") * self.size("R"), 3 * self.size("R")
        key, others, mode = weight.split([keys, weight.shape[1] - keys - modes, modes], dim=1)
        mode = mode.unflatten(1, (3, self.size("R"))).transpose(1, 2).flatten(1)
        return torch.cat([self.head_by_head(key), others, mode], dim=1)

    def run(self, inputs: Arrays, state: Any, noise: Arrays) -> tuple[Tensor, Arrays]:
        """Encoder, then decoder, whose output it is."""
        schedules = {"encoder": self.schedule(len(inputs["encoder"])), "decoder": [DENSE] * len(inputs["decoder"])}
        recorded: Arrays = {}
        for part, schedule in schedules.items():
            with Recorder(self.model) as recorder:
                output, after = self.model(inputs[part], state, schedule=schedule)
            observed = self.observed(Trace(self, recorder, state, len(schedule)))
            if part == "decoder":
                observed = {name: value for name, value in observed.items() if name not in ENCODER_ONLY}
            recorded |= {f"{part}/{name}": value for name, value in observed.items()}
            state = after
        return output, recorded

    def schedule(self, steps: int) -> list[str]:
        """The kinds of the encoder's steps.

        Raises:
            DataError: steps are held, but ``write_step_mask`` does not say which, or is not as long as the input.
        """
        mode, mask = self.option("hold_mem_mode", *HELD), self.stepwise.get("write_step_mask")
        if mask is None and mode:
            raise DataError(f"{self.source} with hold_mem_mode = {mode} needs the constant write_step_mask.")
        if mask is None:
            return [DENSE] * steps
        check_arrays(f"constants of {self.source}", {"write_step_mask": mask}, {"write_step_mask": (steps,)})
        return [DENSE if written else HELD[mode] for written in mask.tolist()]

    def observed(self, trace: Trace) -> Arrays:
        """Part of the states; of each step, held or not, the gates and modes that its controller asks for."""
        cell: Any = self.model.cell
        states = trace.states()
        interface = cell.interface({"output": states["controller_h"].flatten(0, 1)})
        fields = cell.memory.interface(interface)
        asked = {name: field.unflatten(0, (len(states["usage"]), -1)) for name, field in fields.items()}
        return {
            "read_modes": asked["read_mode"].mT,
            "allocation_gates": asked["allocation_gate"],
            "write_gates": asked["write_gate"],
            "read_weightings": states["read_weights"],
            "write_weightings": states["write_weights"],
            "usage_vectors": states["usage"],
            **{name: states[name] for name in ENCODER_ONLY if name in states},
        }

    def exported(self, state: Any) -> Arrays:
        """Reads and their weightings with the heads last, one write head without an axis."""
        memory = state.memory
        return {
            "memory": memory.memory,
            "usage": memory.usage,
            "precedence": memory.precedence.squeeze(1),
            "link": memory.link.squeeze(1),
            "write_weights": memory.write_weights.squeeze(1),
            "read_weights": memory.read_weights.mT,
            "read_vectors": state.reads.unflatten(-1, (self.size("R"), self.size("W"))).mT,
            **{f"controller_{name}": value for name, value in state.controller._asdict().items()},
        }

    def imported(self, arrays: Arrays, state: Any) -> Any:
        """The inverse of `exported`."""
        controller = {name: arrays[f"controller_{name}"] for name in state.controller._fields}
        memory = DNCState(
            memory=arrays["memory"],
            usage=arrays["usage"],
            write_weights=arrays["write_weights"].unsqueeze(1),
            read_weights=arrays["read_weights"].mT,
            precedence=arrays["precedence"].unsqueeze(1),
            link=arrays["link"].unsqueeze(1),
        )
        return state._replace(
            controller=state.controller._replace(**controller),
            memory=memory,
            reads=arrays["read_vectors"].mT.flatten(1),
        )
