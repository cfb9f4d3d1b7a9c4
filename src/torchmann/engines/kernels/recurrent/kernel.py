"""The kernel of a plain recurrent cell: LSTM, layer-norm LSTM, GRU and Elman.

torch's own operator, which `torch.nn.LSTM` calls, trains no faster where it was measured and has neither limits nor
resets nor ensembles nor layer normalisation: so one kernel runs all four cells.

Shapes: B batch, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from torchmann.cells import ElmanCell, GRUCell, LSTMCell
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.state import Tree
from torchmann.engines.kernels import controllers
from torchmann.engines.kernels.kernel import Form, Kernel, Shapes, refuse_hooks


class RecurrentKernel(Kernel):
    """A plain recurrent cell by itself; its output is h."""

    name = "recurrent"
    sizes = ("hidden",)
    options = controllers.OPTIONS
    limits = controllers.LIMITS
    leaves = ("h", "c")
    weights = controllers.WEIGHTS
    outputs = ("output",)

    def takes(self, cell: Cell) -> bool:
        """The four cells."""
        return isinstance(cell, LSTMCell | GRUCell | ElmanCell)  # a layer-norm LSTM is an LSTM

    def form_of(self, cell: Any) -> tuple[Form, list[Tensor]]:
        """The form of a cell, and its weights in the form's order."""
        refuse_hooks(cell)
        numbers, limits, weights = controllers.controller_form(cell)
        return self.form(numbers | {"hidden": cell.hidden_size}, limits, weights)

    def leaf_shapes(self, form: Form) -> Shapes:
        """h, and of LSTMs c."""
        hidden = (self.number(form, "hidden"),)
        return {"h": hidden, "c": hidden} if controllers.has_cell(self.number(form, "controller")) else {"h": hidden}

    def weight_shapes(self, form: Form, input_size: int) -> Shapes:
        """Those of the cell."""
        number = self.number
        return controllers.controller_shapes(number(form, "controller"), input_size, number(form, "hidden"))

    def output_shapes(self, form: Form) -> Shapes:
        """h."""
        return {"output": (self.number(form, "hidden"),)}

    def check(self, form: Form) -> None:
        """Refuse a form that is none of a cell."""
        flags = {self.number(form, name) for name in self.options if name != "controller"}
        if not controllers.whole(self.number(form, "controller"), form.weights) or not flags <= {0, 1}:
            raise OptionError(f"the form {tuple(form)} is none of a cell: make it with form_of(cell).")

    def leaves_of(self, form: Form, state: Any) -> list[Tensor]:
        """The fields of the state, which are the leaves."""
        return list(state)

    def state_from(self, form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
        """A state like `state` with these leaves."""
        return type(state)(*leaves)

    def readout(self, cell: Any, outputs: Sequence[Tensor], noise: Tree) -> Tensor:
        """The output itself."""
        return outputs[0]
