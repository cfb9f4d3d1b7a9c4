"""ARMIN's cell: it gates its state and what was read before it makes a new state, and both before it shows them.

Shapes: B batch, I input with the reads, D reads, H hidden, O output.
Source: "ARMIN: Towards a more efficient and light-weight recurrent memory network", eqs 3-8, and its authors' code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.core.cell import Controller
from torchmann.core.errors import OptionError, require_positive
from torchmann.core.initialisers import orthogonal_per_gate_
from torchmann.core.start import Start, StartKind
from torchmann.core.state import state


@state
class ARMINState(NamedTuple):
    """What ARMIN's cell carries."""

    h: Tensor  # [B, H]


class ARMINCell(Controller):
    """A cell that takes ``[x ; r]``, where r was read from a memory; its output is as wide as h and r together::

        [g^h, g^r] = sigma(W_ig [x, r, h] + b_ig)
        [i, f, g, o^h, o^r] = [sigma, sigma, tanh, sigma, sigma](W_go [x, g^r * r, g^h * h] + b_go)
        h = f * h + i * g
        y = [o^h * tanh(h), o^r * tanh(r)]

    With ``layer_norm`` each of the seven pre-activations is normalised by itself, and so is the new h.

    Args:
        input_size: I, features of the input and of the reads together.
        hidden_size: H.
        read_size: D, how many of the last features of the input were read; 0: none.
        output_reads: show the reads in the output, too.
        squash_state: ``h = tanh(f * h + i * g)``, which is then shown as it is (released code).
        squash_reads: tanh around the reads in the output; released code mostly has none.
        layer_norm: normalise.
        forget_bias: where the forget gate's part of b_go starts, with `layer_norm` that of the normalisation's shift.
        initial: where h starts: ``"constant"`` zeros, ``"learned"``, ``"tanh"`` of a learned vector.

    Raises:
        OptionError: a size below one, or reads that leave no input.
    """

    references = ("armin",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        read_size: int,
        output_reads: bool = True,
        squash_state: bool = False,
        squash_reads: bool = True,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
        initial: StartKind = "constant",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(input_size=input_size, hidden_size=hidden_size)
        require_input(input_size, read_size)
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        shown = read_size if output_reads else 0
        self.input_size, self.hidden_size, self.read_size = input_size, hidden_size, read_size
        self.output_size, self.output_reads = hidden_size + shown, output_reads
        self.squash_state, self.squash_reads, self.layer_norm = squash_state, squash_reads, layer_norm
        self.before = [hidden_size, read_size]  # g^h, g^r
        self.gates = [*[hidden_size] * 4, shown]  # i, f, g, o^h, o^r
        seen = input_size + hidden_size
        self.weight_ig = nn.Parameter(torch.empty(sum(self.before), seen, **at))
        self.bias_ig = nn.Parameter(torch.zeros(sum(self.before), **at))
        self.weight_go = nn.Parameter(torch.empty(sum(self.gates), seen, **at))
        self.bias_go = nn.Parameter(torch.zeros(sum(self.gates), **at))
        if layer_norm:
            units = sum(self.before) + sum(self.gates) + hidden_size  # g^h, g^r, i, f, g, o^h, o^r, h
            self.gain = nn.Parameter(torch.ones(units, **at))
            self.shift = nn.Parameter(torch.zeros(units, **at))
        self.initial_h = Start((hidden_size,), initial, **at)
        self.reset_parameters(forget_bias)

    def reset_parameters(self, forget_bias: float) -> None:
        """Per gate orthogonal weights; biases zero, but the forget gate's."""
        orthogonal_per_gate_(self.weight_ig, self.before)
        orthogonal_per_gate_(self.weight_go, self.gates)
        with torch.no_grad():
            if self.layer_norm:
                self.shift.split([*self.before, *self.gates, self.hidden_size])[3].fill_(forget_bias)
            else:
                self.bias_go.split(self.gates)[1].fill_(forget_bias)

    def initial_state(self, batch_size: int) -> ARMINState:
        """h as `initial` says."""
        return ARMINState(self.initial_h(batch_size))

    def forward(self, x: Tensor, state: ARMINState, noise: None = None) -> tuple[Tensor, ARMINState]:
        """One step."""
        x, r = x.split([self.input_size - self.read_size, self.read_size], dim=-1)
        h, before = state.h, sum(self.before)
        pre = F.linear(torch.cat([x, r, h], dim=-1), self.weight_ig, self.bias_ig)
        keep_h, keep_r = (gate.sigmoid() for gate in self.normalised(pre, self.before, 0))
        pre = F.linear(torch.cat([x, keep_r * r, keep_h * h], dim=-1), self.weight_go, self.bias_go)
        i, f, g, o_h, o_r = self.normalised(pre, self.gates, before)
        h = f.sigmoid() * h + i.sigmoid() * g.tanh()
        (h,) = self.normalised(h, [self.hidden_size], before + sum(self.gates))
        squashed = h.tanh()
        output = o_h.sigmoid() * squashed
        if self.output_reads:
            output = torch.cat([output, o_r.sigmoid() * (r.tanh() if self.squash_reads else r)], dim=-1)
        return output.type_as(state.h), ARMINState((squashed if self.squash_state else h).type_as(state.h))

    def normalised(self, value: Tensor, sizes: list[int], first: int) -> list[Tensor]:
        """The parts of ``value [B, sum of sizes]``, each layer-normalised if so asked, by the units from `first` on."""
        parts = list(value.split(sizes, dim=-1))
        if not self.layer_norm:
            return parts
        last = first + sum(sizes)
        gains, shifts = self.gain[first:last].split(sizes), self.shift[first:last].split(sizes)
        return [
            F.layer_norm(part, gain.shape, gain, shift, eps=1e-3) if len(gain) else part
            for part, gain, shift in zip(parts, gains, shifts, strict=True)
        ]

    def hidden(self, state: ARMINState) -> Tensor:
        """h."""
        return state.h

    def with_hidden(self, state: ARMINState, hidden: Tensor) -> ARMINState:
        """h replaced."""
        return ARMINState(hidden)

    @property
    def feature_sizes(self) -> dict[str, int]:
        """H, which is less than the width of the output."""
        return {"h": self.hidden_size}


def require_input(input_size: int, read_size: int) -> None:
    """Raise `OptionError` unless the reads are a part of the input that leaves some of it."""
    if not 0 <= read_size < input_size:
        raise OptionError(
            f"input_size counts the input and the read_size features that were read, so read_size must be from 0 to "
            f"{input_size - 1}, got {read_size}: build the cell with input_size + read_size features."
        )
