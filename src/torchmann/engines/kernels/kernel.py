"""What a kernel is to the engine: the cells that it runs, and the numbers and tensors that it takes and gives.

A subclass holds what is one kernel's own. The operator, the call and the library are made from it.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from torchmann.core.cell import DENSE, Cell
from torchmann.core.errors import OptionError
from torchmann.core.state import Tree

READS, WRITES = 1, 2
"""What a step does with the memory, as the sum of these; a dense step does both."""

Shapes = dict[str, tuple[int, ...]]
"""The shapes of tensors by name."""


class Unsupported(OptionError):
    """The kernel cannot run this cell; the message says what of it, in a form that follows 'because'."""


class Form(NamedTuple):
    """A cell as a kernel sees it.

    Attributes:
        numbers: its sizes and then its options, in the kernel's order.
        limits: in the kernel's order.
        weights: the names of those that there are, in the kernel's order.
        noise: the names of the noise that is given, in the kernel's order.
    """

    numbers: tuple[int, ...]
    limits: tuple[float, ...]
    weights: tuple[str, ...]
    noise: tuple[str, ...] = ()


class Kernel(ABC):
    """One kernel. The names below are in the order of the fields of its C++ ``Problem``.

    Attributes:
        name: of its folder, its operators and its library.
        sizes: whole numbers of at least 1.
        options: other whole numbers.
        limits: real numbers.
        weights: of the parameters.
        leaves: of the parts of the state.
        outputs: of what it gives at each step.
        noise: of what it takes at each step besides the input; without gradients.
        step_kinds: the kinds of steps that it knows, as sums of `READS` and `WRITES`.
    """

    name: ClassVar[str]
    sizes: ClassVar[tuple[str, ...]]
    options: ClassVar[tuple[str, ...]]
    limits: ClassVar[tuple[str, ...]]
    weights: ClassVar[tuple[str, ...]]
    leaves: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]]
    noise: ClassVar[tuple[str, ...]] = ()
    step_kinds: ClassVar[Mapping[Hashable, int]] = {DENSE: READS | WRITES}

    @property
    def sources(self) -> Path:
        """The folder of its C++ files."""
        return Path(__file__).parent / self.name / "cpp"

    @abstractmethod
    def takes(self, cell: Cell) -> bool:
        """Whether this is the kernel for such cells; of a cell that it takes, `form_of` says whether it runs it."""

    @abstractmethod
    def form_of(self, cell: Cell) -> tuple[Form, list[Tensor]]:
        """The form of a cell, and its weights in the form's order.

        Raises:
            Unsupported: the kernel cannot run the cell.
        """

    @abstractmethod
    def leaves_of(self, form: Form, state: Any) -> list[Tensor]:
        """The leaves of a state in the order of `leaf_shapes`."""

    @abstractmethod
    def state_from(self, form: Form, state: Any, leaves: Sequence[Tensor]) -> Any:
        """A state like `state` with these leaves."""

    @abstractmethod
    def readout(self, cell: Any, outputs: Sequence[Tensor], noise: Tree) -> Tensor:
        """What the cell gives ``[..., O]``, from the outputs of the kernel ``[..., size]``."""

    @abstractmethod
    def weight_shapes(self, form: Form, input_size: int) -> Shapes:
        """The shapes of all weights that a form can have."""

    @abstractmethod
    def leaf_shapes(self, form: Form) -> Shapes:
        """The shapes of the leaves that there are, for one row of the batch."""

    @abstractmethod
    def output_shapes(self, form: Form) -> Shapes:
        """The shapes of the outputs, for one row at one step."""

    def noise_shapes(self, form: Form) -> Shapes:
        """The shapes of the noise, for one row at one step."""
        return {}

    def noise_of(self, noise: Tree) -> dict[str, Tensor]:
        """The noise by name ``[T, B, ...]``; what `readout` takes of it may be left out.

        Raises:
            Unsupported: there is noise that the kernel does not take.
        """
        if noise is not None:
            raise Unsupported("it takes no noise inside a step")
        return {}

    def without_unused_gradient(self, form: Form, leaves: list[Tensor]) -> list[Tensor]:
        """The leaves for a sequence whose first step is dense, without gradients that such a step cuts off."""
        return leaves

    @abstractmethod
    def check(self, form: Form) -> None:
        """Refuse a form that is none of a cell.

        Raises:
            OptionError: sizes, options and weights do not belong together.
        """

    def kinds_of(self, schedule: Sequence[Hashable]) -> list[int]:
        """The step kinds as numbers; empty if every step is dense.

        Raises:
            Unsupported: a kind that the kernel does not know.
        """
        unknown = next((kind for kind in schedule if kind not in self.step_kinds), None)
        if unknown is not None:
            raise Unsupported(f"it has no step {unknown!r}")
        if all(kind == DENSE for kind in schedule):
            return []
        return [self.step_kinds[kind] for kind in schedule]

    def form(
        self, numbers: Mapping[str, int], limits: Mapping[str, float], weights: Mapping[str, Tensor | None]
    ) -> tuple[Form, list[Tensor]]:
        """A form from options (0 where not given), limits (0) and weights by name, and the weights that there are."""
        present = {name: weight for name, weight in weights.items() if weight is not None}
        names = tuple(name for name in self.weights if name in present)
        form = Form(
            tuple(int(numbers.get(name, 0)) for name in (*self.sizes, *self.options)),
            tuple(float(limits.get(name, 0.0)) for name in self.limits),
            names,
        )
        return form, [present[name] for name in names]

    def number(self, form: Form, name: str) -> int:
        """A size or an option of a form."""
        return form.numbers[(*self.sizes, *self.options).index(name)]

    def encoded(self, form: Form) -> tuple[list[int], list[float]]:
        """A form as an operator takes it: integers, the last two of which say what weights and noise there are."""
        weights = sum(1 << place for place, name in enumerate(self.weights) if name in form.weights)
        noise = sum(1 << place for place, name in enumerate(self.noise) if name in form.noise)
        return [*form.numbers, weights, noise], list(form.limits)

    def decoded(self, integers: Sequence[int], limits: Sequence[float]) -> Form:
        """The form again."""
        *numbers, weights, noise = integers
        return Form(
            tuple(numbers),
            tuple(limits),
            tuple(name for place, name in enumerate(self.weights) if weights >> place & 1),
            tuple(name for place, name in enumerate(self.noise) if noise >> place & 1),
        )


def refuse_hooks(*parts: nn.Module) -> None:
    """Refuse modules with forward hooks on them or right below them.

    Raises:
        Unsupported: there is a hook.
    """
    for module in (*parts, *(below for part in parts for below in part.children())):
        if module._forward_hooks or module._forward_pre_hooks:
            raise Unsupported("it would not call the forward hooks inside the cell")
