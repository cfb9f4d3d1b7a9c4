"""The step of a cell and its vector-Jacobian product as compiled functions of flat lists of tensors.

Shapes: B batch, I input, O output.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.core.gradients import in_differentiable_form
from torchmann.core.precision import Autocast, without_autocast
from torchmann.core.state import Tree
from torchmann.engines.flat import Layout, filled, leaves_of
from torchmann.engines.graphs.affine_maps import Affine, AffineMaps
from torchmann.engines.graphs.graph import Flat, Form, Graph, form_of


class _KindOfStep(nn.Module):
    """A cell's step of one kind as a module, whose parameters and buffers can be replaced."""

    def __init__(self, cell: Cell, kind: Hashable) -> None:
        super().__init__()
        self.cell, self.kind = cell, kind

    def forward(self, x: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any]:
        return self.cell.step_of_kind(self.kind)(x, state, noise)


class StepFunctions:
    """The step of one kind, and its vector-Jacobian product, as functions of tensors.

    Args:
        cell: whose step.
        kind: of the step.
        state: a state, for its structure.
        noise: one step's noise or None, for its structure.
        layout: of the tensors.
        wanted: which parameters and inputs need a gradient.
        autocast: of the step; the gradients are computed without, as they are after an eager step.
    """

    def __init__(
        self,
        cell: Cell,
        kind: Hashable,
        state: Any,
        noise: Tree,
        layout: Layout,
        wanted: Sequence[bool],
        autocast: Autocast,
    ) -> None:
        self.step, self.state, self.noise, self.layout = _KindOfStep(cell, kind), state, noise, layout
        self.wanted, self.autocast = wanted, autocast
        named = (self.step.named_parameters(), self.step.named_buffers())
        self.names = [name for tensors in named for name, _ in tensors]
        self.maps: list[Affine] = []

    def run(self, tensors: Sequence[Tensor], known: Sequence[Tensor] | None = None) -> tuple[list[Tensor], AffineMaps]:
        """One step: y and the leaves after it, and what its affine maps did."""
        parameters, buffers, (x, *drawn), leaves, _ = self.layout.split(tensors)
        values = dict(zip(self.names, [*parameters, *buffers], strict=True))
        with self.autocast.again(), AffineMaps(parameters, known) as maps:
            arguments = (x, filled(self.state, leaves), filled(self.noise, drawn))
            output, after = functional_call(self.step, values, arguments)
        self.maps = maps.maps
        return [value.contiguous() for value in (output, *leaves_of(after))], maps

    def forward(self, *tensors: Tensor) -> list[Tensor]:
        """``(*parameters, *buffers, x, *noise, *leaves) -> [y, *leaves after, *outputs of the linear maps]``."""
        results, maps = self.run(tensors)
        return [*results, *(output.contiguous() for output in maps.outputs)]

    def backward(self, *tensors: Tensor) -> list[Tensor | None]:
        """The tensors of `forward`, the outputs of its maps, the gradient of y and those of the floating leaves after.

        Gives gradients, None for zero: of the parameters but for their part in the maps, of x and the noise, of the
        floating leaves, and of the output of each of the maps; and at last the maps' inputs.
        """
        parameters, buffers, inputs, leaves, rest = self.layout.split([value.detach() for value in tensors])
        for value, wanted in zip([*parameters, *inputs], self.wanted, strict=True):
            value.requires_grad_(wanted)
        floating = [leaf.requires_grad_() for leaf in leaves if leaf.is_floating_point()]
        gradients = rest[-1 - len(floating) :]
        with torch.enable_grad():
            results, maps = self.run([*parameters, *buffers, *inputs, *leaves], rest[: -len(gradients)])
            ends = zip([value for value in results if value.is_floating_point()], gradients, strict=True)
            reached = [(value, gradient) for value, gradient in ends if value.requires_grad]
            sources = [*parameters, *inputs, *floating, *maps.outputs]
            found = iter(_gradients(reached, [value for value in sources if value.requires_grad]))
        return [*(next(found) if value.requires_grad else None for value in sources), *maps.inputs]


def _gradients(reached: Sequence[tuple[Tensor, Tensor]], sources: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """What the gradients of the values that are reached give for the sources."""
    if not reached or not sources:
        return [None] * len(sources)
    values, gradients = zip(*reached, strict=True)
    found = torch.autograd.grad(values, sources, gradients, allow_unused=True)
    return [None if gradient is None else gradient.contiguous() for gradient in found]


class Compiled(NamedTuple):
    """A compiled function of `StepFunctions`, and the affine maps that it notes."""

    graph: Graph
    maps: Sequence[Affine]


def _compiled(functions: StepFunctions, forms: Sequence[Form], batch_size: int, forward: Graph | None) -> Compiled:
    """`StepFunctions.forward`, or with it `StepFunctions.backward`.

    Raises:
        OptionError: it cannot be compiled.
    """
    function: Flat = functions.forward
    if forward is not None:
        y, *others = forward.result_forms()
        after, outputs = others[: functions.layout.leaves], others[functions.layout.leaves :]
        function = functions.backward
        forms = (*forms, *outputs, *(form for form in (y, *after) if form.dtype.is_floating_point))
    try:
        with without_autocast(functions.autocast.device_type):
            return Compiled(Graph(function, forms, batch_size), functions.maps)
    except Exception as error:  # whatever a compiler stumbles over
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise OptionError(f"engine='compiled' cannot compile this cell: {reason}; use engine='eager'.") from error


class _Variants:
    """What is compiled for a cell.

    The batch size that comes first has code of its own, which is made sooner and is faster, as has a batch of one. All
    others share code, if the step itself makes no difference between them.
    """

    def __init__(self, batch_size: int) -> None:
        self.first = batch_size
        self.found: dict[Hashable, list[Compiled]] = {}

    def get(
        self,
        key: Hashable,
        functions: Callable[[], StepFunctions],
        forms: Sequence[Form],
        batch_size: int,
        forward: Graph | None = None,
    ) -> Compiled:
        """What fits the batch size, compiled if there is none."""
        variants = self.found.setdefault(key, [])
        for variant in variants:
            if variant.graph.fits(batch_size):
                return variant
        variants.append(_compiled(functions(), forms, batch_size, forward))
        return variants[-1]


_KNOWN: WeakKeyDictionary[Cell, _Variants] = WeakKeyDictionary()


class CompiledStep(NamedTuple):
    """The step of one kind, compiled."""

    forward: Graph
    kept: int  # how many outputs of linear maps come after the leaves in what `forward` gives
    backward: Graph | None = None  # None: no gradients are asked for
    maps: Sequence[Affine] = ()  # of `backward`


def compiled_steps(
    cell: Cell,
    kinds: Sequence[Hashable],
    state: Any,
    noise: Tree,
    layout: Layout,
    tensors: Sequence[Tensor],
    *,
    wanted: tuple[bool, ...],
    autocast: Autocast,
) -> dict[Hashable, CompiledStep]:
    """The steps of some kinds of a cell, each compiled once.

    Args:
        cell: what shall be run.
        kinds: of steps.
        state: a state of the batch, for its structure.
        noise: one step's noise, for its structure.
        layout: of `tensors`.
        tensors: such as the steps will be given.
        wanted: which parameters and inputs need a gradient; none: only the forward function is compiled.
        autocast: of the steps.

    Raises:
        OptionError: a step cannot be compiled.
    """
    constants = layout.parameters + layout.buffers
    size = len(tensors[constants])
    known = _KNOWN.setdefault(cell, _Variants(size))
    is_open = size not in (1, known.first)
    forms = tuple(form_of(value, batched=is_open and number >= constants) for number, value in enumerate(tensors))
    surroundings = (forms, layout, autocast, in_differentiable_form(), torch.get_num_threads(), _configuration(cell))
    steps = {}
    for kind in kinds:
        functions = partial(StepFunctions, cell, kind, state, noise, layout, wanted, autocast)
        forward, linear = known.get((kind, surroundings), functions, forms, size)
        backward = known.get((kind, wanted, surroundings), functions, forms, size, forward) if wanted else ()
        steps[kind] = CompiledStep(forward, len(linear), *backward)
    return steps


def _configuration(cell: Cell) -> Hashable:
    """What a traced step has taken from the cell's modules besides their tensors: if it changes, it is traced anew."""
    return tuple(
        (name, value if isinstance(value, Hashable) else repr(value))
        for module in cell.modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
    )
