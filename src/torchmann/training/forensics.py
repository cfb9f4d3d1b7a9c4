"""Forensics: where the first number that is not finite came from, found by doing an iteration again under watch.

A loop that finds a loss or a parameter that is not finite hands over to `investigate`: it goes back to the last state
that was good, repeats the iterations since, and watches the first bad one. What that took is a `Case`, which goes into
a file, to be watched again anywhere (`torchmann.training.replay`).

Shapes: T time, B batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core import Recorder
from torchmann.core.state import named_leaves
from torchmann.tasks import Batch, Task

if TYPE_CHECKING:  # the loop imports this file
    from torchmann.training.loop import Training

Kind = Literal["weights", "batch", "state", "internal", "output", "loss", "gradient", "update"]

SENTENCES: dict[Kind, str] = {
    "weights": "the parameter {name} was {value} before the iteration",
    "batch": "the task gave {value} in {name}{place}",
    "state": "the carried state {name} was {value}{place}",
    "internal": "{name} became {value}{place}",
    "output": "the output of the model became {value}{place}",
    "loss": "the loss became {value}, of an output that is finite",
    "gradient": "the gradient of the parameter {parameter} became {value}{through}, while the loss was finite",
    "update": "the optimiser made the parameter {name} {value}, of a gradient that is finite",
}


ADVICE = "try a smaller learning rate or clip_limit"


class Finding(NamedTuple):
    """The first thing in an iteration that is not finite.

    Attributes:
        iteration: counted from 1, as in the metrics.
        kind: what it belongs to: the ``"weights"`` before the iteration, the ``"batch"``, the carried ``"state"``, an
            ``"internal"`` that a cell records or its state after a step, the ``"output"``, the ``"loss"``, a
            ``"gradient"``, or a parameter after the optimiser's ``"update"``.
        name: of the tensor; for a gradient, of the tensor at which it first was not finite on its way back.
        value: ``"nan"``, ``"inf"`` or ``"-inf"``.
        step: of the sequence, counted from 0; None where there is none.
        row: of the batch, counted from 0; None where there is none.
        parameter: the first one whose gradient, or which itself, is not finite; None if the forward pass is to blame.
    """

    iteration: int
    kind: Kind
    name: str
    value: str
    step: int | None = None
    row: int | None = None
    parameter: str | None = None

    def sentence(self) -> str:
        """What was found, in words."""
        places = [f"{what} {number}" for what, number in (("step", self.step), ("row", self.row)) if number is not None]
        place = f" at {', '.join(places)}" if places else ""
        through = f" by way of {self.name}{place}" if self.name != self.parameter else ""
        return SENTENCES[self.kind].format(**self._asdict() | {"place": place, "through": through})

    def advice(self) -> str:
        """What to try."""
        if self.kind == "batch":
            return "look at the data of the task"
        return "start from other weights" if self.kind == "weights" else ADVICE


@dataclass(frozen=True)
class Case:
    """An iteration that can be done again.

    Attributes:
        state: of the training before it, `Training.state_dict`.
        batch: of all processes, on the CPU.
        finding: what is wrong; None if nothing was found when it was done again.
    """

    state: Mapping[str, Any]
    batch: Batch
    finding: Finding | None


class NotFiniteError(FloatingPointError):
    """Training met a number that is not finite; `case` is the iteration where it did, None if it can't be repeated."""

    def __init__(self, message: str, case: Case | None) -> None:
        super().__init__(message)
        self.case = case


def snapshot(training: Training) -> dict[str, Any]:
    """The state of a training now, which later iterations do not change."""
    return _copied(training.state_dict())


def _copied(tree: Any) -> Any:
    """A copy of a tree as `save_tree` takes it; `copy.deepcopy` takes several times as long."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    return type(tree)(map(_copied, tree)) if isinstance(tree, list | tuple) else tree


def finite(training: Training) -> bool:
    """Whether all parameters are, and the state that a stream carries; in all processes, which must call this together.

    The losses are looked at where they are read.
    """
    carried = training.backward.carried
    leaves = [leaf for _, leaf in named_leaves(carried.state)] if carried.streams else []
    numbers = [tensor.detach() for tensor in (*training.parameters, *leaves) if tensor.is_floating_point()]
    # the extremes of a tensor are finite if all of it is, and take a tenth of the time of looking at each number
    extremes = [extreme for tensor in numbers if tensor.numel() for extreme in tensor.aminmax()]
    return not training.processes.agree(not torch.stack(extremes).isfinite().all())[0]


def investigate(training: Training, good: Mapping[str, Any]) -> Case | None:
    """Find what went wrong since `good`; `training` is left after the bad iteration, or where it was if there is none.

    Several processes must call this together. Each comes to the same result, for each does the bad iteration alone,
    with the rows of all.

    Args:
        training: has met a loss, a parameter or a carried state that is not finite.
        good: an earlier `snapshot` of it.

    Returns:
        The first bad iteration; None where none is bad when done again, as may happen on a GPU.
    """
    last = training.iteration
    training.load_state_dict(good)
    while training.iteration < last:
        before, (task, batch) = snapshot(training), training.drawn(training.iteration)
        training.step()
        if not (math.isfinite(training.tally.means().losses[-1]) and finite(training)):
            return Case(before, batch, _examine_alone(training, task, batch, before))
    return None


def _examine_alone(training: Training, task: Task, batch: Batch, state: Mapping[str, Any]) -> Finding | None:
    """Examine an iteration in this process alone."""
    alone = type(training)(training.model, giving(task, batch), training.optimiser, training.settings)
    alone.load_state_dict(state)
    return examine(alone)


def giving(task: Task, batch: Batch) -> Task:
    """`task`, but whatever is asked of it, it gives this one batch."""
    other = copy.copy(task)
    vars(other)["batch"] = lambda *_, **__: batch
    return other


def examine(training: Training) -> Finding | None:
    """Do the next iteration of `training` under watch, and say what in it is the first thing that is not finite."""
    iteration = training.iteration + 1
    model = training.model
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if weights := _bad_parameter(iteration, "weights", named):
        return weights
    training.model.train()
    watch = _Watch(model, iteration)
    watch.look_at_batch(training.drawn(training.iteration)[1])
    with watch, watch.attached(named):
        training.step()
    if watch.findings and watch.findings[0].kind != "gradient":
        return watch.findings[0]
    loss = training.tally.means().losses[-1]
    if not math.isfinite(loss):
        return Finding(iteration, "loss", "loss", str(loss))
    # An internal's gradient that is not finite does no harm unless it comes to a parameter.
    if of_parameter := next((found.parameter for found in watch.findings if found.parameter), None):
        return watch.findings[0]._replace(parameter=of_parameter)
    return _bad_parameter(iteration, "update", named)


class _Watch(Recorder):
    """Looks at everything that a model records, takes and gives while it is open, in the order in which it is computed.

    Attributes:
        findings: all that is not finite, the first one first.
    """

    def __init__(self, model: nn.Module, iteration: int) -> None:
        super().__init__(model)
        self.model, self.iteration = model, iteration
        self.findings: list[Finding] = []
        self._first_step = 0  # of the call under way

    def take(self, module: nn.Module, name: str, value: Tensor) -> None:
        """Look at one step's value, and later at its gradient."""
        path = self._paths.get(id(module))
        if path is None:
            return
        name, step = f"{path}.{name}" if path else name, self._step
        self._look("internal", name, value, step)
        if value.requires_grad:
            value.register_hook(lambda gradient: self._look("gradient", name, gradient, step))

    @contextmanager
    def attached(self, parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Within this context the calls of the model and the gradients of its parameters are looked at too."""
        hooks = [
            self.model.register_forward_pre_hook(self._before_call, with_kwargs=True),
            self.model.register_forward_hook(self._after_call),
            *(parameter.register_hook(self._gradient_hook(name)) for name, parameter in parameters.items()),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def look_at_batch(self, batch: Batch) -> None:
        """Look at what the task gives."""
        for field in fields(batch):
            value = getattr(batch, field.name)
            if isinstance(value, Tensor) and value.dim() > 1:
                self._look_at_steps("batch", field.name, value, 0)

    def _before_call(self, model: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._first_step = self._step
        for name, leaf in named_leaves(options.get("state")):
            self._look("state", name, leaf, None)

    def _after_call(self, model: nn.Module, inputs: tuple[Any, ...], result: tuple[Tensor, Any]) -> None:
        self._look_at_steps("output", "output", result[0], self._first_step)

    def _gradient_hook(self, name: str) -> Callable[[Tensor], None]:
        def look(gradient: Tensor) -> None:
            if value := _bad_value(gradient):
                self.findings.append(Finding(self.iteration, "gradient", name, value, parameter=name))

        return look

    def _look_at_steps(self, kind: Kind, name: str, tensor_TB: Tensor, first: int) -> None:
        """Look at the steps of ``[T, B, ...]``, up to the first bad one; `first` is the number of the first."""
        bad_T = ~tensor_TB.detach().isfinite().flatten(1).all(1)
        if bad_T.any():
            step = int(bad_T.int().argmax())
            self._look(kind, name, tensor_TB[step], first + step)

    def _look(self, kind: Kind, name: str, tensor_B: Tensor, step: int | None) -> None:
        """Look at ``[B, ...]``."""
        if value := _bad_value(tensor_B):
            places = (~tensor_B.detach().isfinite()).nonzero()
            row = int(places[0, 0]) if tensor_B.dim() else None
            self.findings.append(Finding(self.iteration, kind, name, value, step, row))


def _bad_parameter(iteration: int, kind: Kind, parameters: Mapping[str, nn.Parameter]) -> Finding | None:
    for name, parameter in parameters.items():
        if value := _bad_value(parameter):
            return Finding(iteration, kind, name, value, parameter=name)
    return None


def _bad_value(tensor: Tensor) -> str:
    """The first number in `tensor` that is not finite, as a text; an empty one if all are finite."""
    bad = tensor.detach()[~tensor.detach().isfinite()]
    return str(bad[0].item()) if len(bad) else ""
