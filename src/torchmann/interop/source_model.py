"""SourceModel: a model of ours that answers to the names and layouts of another code base.

A source says what arrays there are (`shapes`), which model of ours they make (`build`), how they are laid out as our
parameters (`parameters`, an affine map), and what its states are called (`exported`, `imported`). The rest follows:
the gradient of their arrays is the transpose of that map applied to the gradient of ours.

Shapes: T time, B batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.core.recorder import Recorder
from torchmann.core.state import named_leaves
from torchmann.engines import Recurrent
from torchmann.interop.arrays import Shape, check_arrays, common_dtype

Arrays = dict[str, Tensor]
"""Tensors by their name in the source."""


class SourceModel(ABC):
    """A model built from the arrays of another code base, and the way between its names and ours.

    Attributes:
        model: ours, with the source's weights; train it, evaluate it, save it like any other.
        sizes: what ``meta["sizes"]`` says.
        options: what ``meta["options"]`` says.
        constants: the source's fixed numbers, those that were not given at its own values.
        stepwise: its constants that hold a number for each step, ``[T]``.
    """

    source: ClassVar[str]
    defaults: ClassVar[Mapping[str, float]] = {}
    """The constants that the source knows, with its own values."""
    fixed: ClassVar[Sequence[str]] = ()
    """Those of them that ours shares and that no argument changes."""
    series: ClassVar[Sequence[str]] = ()
    """Constants that hold a number for each step of a run; they may be absent."""
    noises: ClassVar[Sequence[str]] = ()
    """The random draws that the source records."""
    slot_axes: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    """By name of a recorded state ``[T, B, ...]`` the axes that count slots, which are interchangeable in ties."""
    inputs: ClassVar[Sequence[str]] = ("input",)
    """The sequences that a run takes."""
    start_gradients: ClassVar[bool] = True
    """Whether its runs record the gradient with respect to a start that was fed."""

    def __init__(self, params: Arrays, meta: Mapping[str, Any], constants: Mapping[str, float | Tensor]) -> None:
        self.meta = meta
        self.sizes: Mapping[str, int] = meta.get("sizes", {})
        self.options: Mapping[str, Any] = meta.get("options", {})
        self.constants, self.stepwise = self._checked(constants)
        self.names = frozenset(params)
        self.dtype = common_dtype(self.source, params)
        self.given = {name: value.detach().clone() for name, value in params.items()}
        check_arrays(f"parameters of {self.source}", params, self.shapes())
        self.model = self.build().to(self.dtype).eval()
        self.import_parameters(params)

    @abstractmethod
    def shapes(self) -> dict[str, Shape]:
        """The arrays of the source by name, with the shapes that the sizes ask for."""

    @abstractmethod
    def build(self) -> Recurrent:
        """Our model of that size and kind."""

    @abstractmethod
    def parameters(self, source: Arrays) -> Arrays:
        """Our parameters by name as an affine map of theirs that uses each number of theirs at most once."""

    @abstractmethod
    def exported(self, state: Any) -> Arrays:
        """What the source calls the parts of a state of ours, each ``[B, ...]``."""

    @abstractmethod
    def imported(self, arrays: Arrays, state: Any) -> Any:
        """`state` with its parts replaced by `arrays`, which has every name that `exported` gives."""

    def size(self, name: str) -> int:
        """An entry of ``meta["sizes"]``.

        Raises:
            DataError: there is none, or it is no positive integer.
        """
        value = self.sizes.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DataError(
                f"{self.source} needs the size {name!r} as a positive integer, meta['sizes'] has {value!r}."
            )
        return value

    def option(self, name: str, *known: Any) -> Any:
        """An entry of ``meta["options"]``, one of `known` where these are given.

        Raises:
            DataError: there is none, or another.
        """
        if name not in self.options:
            raise DataError(f"{self.source} needs the option {name!r} in meta['options'], which has {[*self.options]}.")
        value = self.options[name]
        if known and value not in known:
            raise DataError(f"option {name!r} of {self.source} must be one of {list(known)}, got {value!r}.")
        return value

    @property
    def unused(self) -> Sequence[str]:
        """Entries of an initial state that have no influence there, and none here."""
        return ()

    def output(self, output_TBO: Tensor) -> Tensor:
        """What the source returns for our output; some end in an activation that we leave to the loss."""
        return output_TBO

    def start(self, batch_size: int, noise: Arrays) -> Any:
        """The state before the first step, where the source gets no other."""
        return self.model.initial_state(batch_size)

    def noise(self, noise: Arrays) -> Any:
        """The source's random draws, each ``[T, B, ...]``, as our model takes them."""
        return None

    def observed(self, trace: Trace) -> Arrays:
        """What the source records at each step, ``[T, B, ...]``: the states, and what a subclass adds."""
        return trace.states()

    def run(self, inputs: Arrays, state: Any, noise: Arrays) -> tuple[Tensor, Arrays]:
        """Our model over the source's input: its output, and all that the source records."""
        with Recorder(self.model) as recorder:
            output, _ = self.model(inputs["input"], state, noise=self.noise(noise))
        return self.output(output), self.observed(Trace(self, recorder, state, output.shape[0]))

    def import_parameters(self, params: Arrays) -> None:
        """Put the source's arrays into our model."""
        ours = self.parameters(params)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(ours[name])

    def export_parameters(self) -> Arrays:
        """Our parameters as the source's arrays: those that it was made of, changed as little as ours ask for.

        Where several numbers of theirs make one of ours (a bias in two parts) each takes its share of the change.
        """
        with torch.no_grad():
            before = self.parameters(self.given)
            change = {name: value - before[name] for name, value in self.model.named_parameters()}
        share = self._transposed({name: value / self._parts()[name] for name, value in change.items()})
        return {name: value + share[name] for name, value in self.given.items()}

    def export_gradients(self) -> Arrays:
        """The gradients that a backward pass left in our model, with respect to the source's arrays."""
        ours = dict(self.model.named_parameters())
        return self._transposed({n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in ours.items()})

    def import_gradients(self, gradients: Arrays) -> None:
        """Put gradients with respect to the source's arrays into our model; the inverse of `export_gradients`."""
        check_arrays(f"gradients of {self.source}", gradients, self.shapes())
        moved = self._linear(gradients)
        for name, parameter in self.model.named_parameters():
            parameter.grad = (moved[name] / self._parts()[name]).to(parameter.dtype)

    def export_state(self, state: Any) -> Arrays:
        """A state of our model in the source's names and layouts, each ``[B, ...]``."""
        return self.exported(state)

    def import_state(self, arrays: Arrays, *, batch_size: int | None = None, noise: Arrays | None = None) -> Any:
        """A state of our model from the source's arrays ``[B, ...]``; what is not given starts as it does there.

        Args:
            arrays: by name, as `export_state` gives them.
            batch_size: B, where `arrays` has none.
            noise: the draws that a random start is made of.

        Raises:
            DataError: an unknown name, a wrong shape, or no batch size.
        """
        arrays = {name: value for name, value in arrays.items() if name not in self.unused}
        if batch_size is None:
            if not arrays:
                raise DataError("import_state without arrays needs batch_size=.")
            batch_size = len(next(iter(arrays.values())))
        start = self.start(batch_size, noise or {})
        theirs = self.exported(start)
        shapes = {name: tuple(value.shape) for name, value in theirs.items()}
        check_arrays(f"state of {self.source}", arrays, shapes, partial=True)
        return self.imported(theirs | arrays, start) if arrays else start

    def _checked(self, constants: Mapping[str, float | Tensor]) -> tuple[dict[str, float], Arrays]:
        """The numbers, with the source's own in place of those not given, and the series."""
        known = [*self.defaults, *self.series]
        unknown = sorted(set(constants) - set(known))
        if unknown:
            raise DataError(f"{self.source} has no constant {unknown[0]!r}; known: {', '.join(known)}.")
        stepwise = {name: value for name, value in constants.items() if isinstance(value, Tensor)}
        numbers = {name: value for name, value in constants.items() if not isinstance(value, Tensor)}
        for name in constants:
            if (name in stepwise) != (name in self.series):
                wanted = "a number for each step" if name in self.series else "one number"
                raise DataError(f"constant {name!r} of {self.source} must be {wanted}.")
        for name in set(self.fixed) & set(numbers):
            if abs(numbers[name] - self.defaults[name]) > 1e-4 * abs(self.defaults[name]):
                number = f"{name} = {numbers[name]:g}"
                raise DataError(f"{self.source} with {number} can't be built: it is {self.defaults[name]:g} here.")
        return dict(self.defaults) | numbers, stepwise

    def _linear(self, arrays: Arrays) -> Arrays:
        """`parameters` without its constant part."""
        with torch.no_grad():
            zero = self.parameters({name: torch.zeros_like(value) for name, value in self.given.items()})
            moved = self.parameters(arrays)
            return {name: value - zero[name] for name, value in moved.items()}

    def _transposed(self, ours: Arrays) -> Arrays:
        """The transpose of `parameters` applied to arrays like our parameters."""
        leaves = {name: value.clone().requires_grad_() for name, value in self.given.items()}
        images = self.parameters(leaves)
        used = [name for name in ours if images[name].requires_grad]
        weights = [ours[name].to(self.dtype) for name in used]
        found = torch.autograd.grad([images[name] for name in used], list(leaves.values()), weights, allow_unused=True)
        return {
            name: torch.zeros_like(leaf) if gradient is None else gradient
            for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
        }

    def _parts(self) -> Arrays:
        """Of how many numbers of theirs each of ours is the sum, at least one."""
        ones = {name: torch.ones_like(value) for name, value in self.model.named_parameters()}
        return {name: value.clamp(min=1) for name, value in self._linear(self._transposed(ones)).items()}


class Trace:
    """What a recorder saw of one run of a source's model, each ``[T, B, ...]``."""

    def __init__(self, source: SourceModel, recorder: Recorder, state: Any, steps: int) -> None:
        self._source, self._recorder, self._example, self._steps = source, recorder, state, steps

    def __getitem__(self, name: str) -> Tensor:
        """An internal, or a leaf of the state as ``state.<leaf>``, by our name."""
        return self._recorder[name]

    def states(self) -> Arrays:
        """The state after each step, in the source's names."""
        recorded = {name: self._recorder[f"cell.state.{name}"] for name, _ in named_leaves(self._example)}
        flat = self._example.unflatten({name: value.flatten(0, 1) for name, value in recorded.items()})
        theirs = self._source.exported(flat)
        return {name: value.unflatten(0, (self._steps, -1)) for name, value in theirs.items()}
