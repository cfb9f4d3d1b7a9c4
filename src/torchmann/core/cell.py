"""Cell: one time step, as a pure function of input, state and noise.

Shapes: B batch, I input features, O output features, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from torch import Tensor, nn

from torchmann.core.errors import OptionError

Step = Callable[..., tuple[Tensor, Any]]

DENSE = "dense"
"""The step kind that does everything; the only one that every cell has."""


class Cell(nn.Module):
    """One time step of a recurrent network: ``y, state = cell(x, state, noise=None)``.

    The contract, which `torchmann.check_cell` proves of any cell:

    * ``x`` is ``[B, I]``, ``y`` is ``[B, O]``, the state is a class decorated with `@state`, batch first in every leaf;
    * the step is pure: no argument is changed in place, nothing is kept on the module, the rows of a batch do not
      meet, and no Python branch depends on a tensor's value;
    * no random number is drawn: what is random comes in as `noise`, as `noise_spec` declares it; None is evaluation.

    Attributes:
        input_size: I.
        output_size: O.
    """

    input_size: int
    output_size: int

    @property
    def annealed(self) -> tuple[str, ...]:
        """Dotted names of the 0-dim buffers that a training loop fills from a schedule (a temperature, a slope).

        They are those that the cell's parts name in an attribute ``annealed`` of their own. In a distributed memory
        such a buffer holds one number for each block.
        """
        return annealed_parts(self)

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step, for `batch_size` rows; made of parameters, buffers or constants."""
        raise TypeError(f"{type(self).__name__} must define initial_state(batch_size).")

    def noise_spec(self, batch_size: int) -> Any:
        """A NamedTuple of `Draw`, what one step takes as `noise`; None for a deterministic cell."""
        return None

    def penalties(self, state: Any) -> dict[str, Tensor]:
        """Auxiliary losses that the state has accumulated, by name, each ``[B]``."""
        return {}

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """The kind of each of `length` steps, the first of which is the absolute step `start`."""
        return [DENSE] * length

    def step_of_kind(self, kind: Hashable) -> Step:
        """The pure step function of a kind that `schedule` may name; all kinds share one signature.

        Raises:
            OptionError: this cell has no such kind.
        """
        if kind == DENSE:
            return self
        raise OptionError(f"{type(self).__name__} has only the step kind 'dense', not {kind!r}.")


def annealed_parts(module: nn.Module) -> tuple[str, ...]:
    """What the parts of a module name in their attribute ``annealed``, by dotted path."""
    names: list[str] = []
    for path, part in module.named_children():
        own = getattr(part, "annealed", None)
        names += [f"{path}.{name}" for name in (annealed_parts(part) if own is None else own)]
    return tuple(names)


class Controller(Cell):
    """A cell that can drive a memory, because it says what its state is made of.

    Attributes:
        recurrent: the step looks at the hidden vector of the step before; cached writing needs that.
    """

    recurrent: bool = True

    def hidden(self, state: Any) -> Tensor:
        """The hidden vector ``[B, H]`` of the (top) layer."""
        raise TypeError(f"{type(self).__name__} must define hidden(state).")

    def with_hidden(self, state: Any, hidden: Tensor) -> Any:
        """The state with its (top) hidden vector replaced by ``hidden [B, H]``, all else kept."""
        raise TypeError(f"{type(self).__name__} must define with_hidden(state, hidden).")

    def features(self, state: Any) -> dict[str, Tensor]:
        """The vectors of the state by name, each ``[B, H]``: ``h``, for an LSTM ``c``, per layer in a stack."""
        return {"h": self.hidden(state)}

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The width of each of `features`, known before the first step."""
        return {"h": self.output_size}
