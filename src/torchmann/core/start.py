"""Where a leaf of a state starts: a constant, learned, or drawn once and fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError, unknown_name

StartKind = Literal["constant", "learned", "tanh", "sigmoid", "softmax", "random"]

_SQUASH = {
    "learned": lambda value: value,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda value: value.softmax(-1),
}


class Start(nn.Module):
    """The initial value of one leaf of a state, for any batch size: ``start(B)`` is ``[B, *shape]``.

    Args:
        shape: of the leaf without its batch axis.
        kind: ``"constant"`` is `value` everywhere; ``"learned"`` a parameter, which ``"tanh"``, ``"sigmoid"`` and
            ``"softmax"`` (over the last axis) squash; ``"random"`` a buffer drawn at construction and never again.
        value: the constant; for learned kinds, where the parameter starts (a number or a tensor of `shape`).
        spread: of ``"random"``: uniform on ±spread.

    Raises:
        OptionError: unknown `kind`.
    """

    like: Tensor
    drawn: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        kind: StartKind = "constant",
        *,
        value: float | Tensor = 0.0,
        spread: float = 1.0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("constant", "random", *_SQUASH):
            raise unknown_name("kind of start", kind, ("constant", "random", *_SQUASH))
        if kind == "constant" and isinstance(value, Tensor):
            raise OptionError("a constant start takes a number as value; a tensor is where a learned one starts.")
        self.shape, self.kind, self.value = tuple(shape), kind, value
        if kind == "constant":  # an empty buffer, which says on what device and in what dtype
            self.register_buffer("like", torch.empty(0, device=device, dtype=dtype), persistent=False)
        elif kind == "random":
            draw = torch.empty(self.shape, device=device, dtype=dtype).uniform_(-spread, spread)
            self.register_buffer("drawn", draw)
        else:
            self.weight = nn.Parameter(torch.empty(self.shape, device=device, dtype=dtype))
            with torch.no_grad():
                self.weight.copy_(torch.as_tensor(value, dtype=self.weight.dtype).expand(self.shape))

    def forward(self, batch_size: int) -> Tensor:
        """The value for `batch_size` rows, ``[B, *shape]``."""
        if self.kind == "constant":
            return self.like.new_full((batch_size, *self.shape), float(self.value))
        value = self.drawn if self.kind == "random" else _SQUASH[self.kind](self.weight)
        return value.expand(batch_size, *self.shape)

    def extra_repr(self) -> str:
        return f"{self.shape}, {self.kind}"
