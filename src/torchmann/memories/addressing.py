"""Addressing: how a memory of slots chooses the one to read.

Shapes: B batch, N slots, W width, A address fields, Q query, D key.
Sources: "ARMIN: Towards a more efficient and light-weight recurrent memory network", eqs 9-10 (auto-addressing);
Gulcehre, Chandar, Bengio 2017, "Memory augmented neural networks with wormhole connections" (TARDIS), and both in the
code of the ARMIN paper's authors.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.core.gradients import stop_gradient
from torchmann.core.state import state
from torchmann.functional import gumbel_softmax

Sampling = Literal["gumbel", "softmax"]


@state
class SlotHistoryState(NamedTuple):
    """What a `SlotHistory` carries and an addressing may look at."""

    memory: Tensor  # [B, N, W]
    read_weights: Tensor  # [B, 1, N], of the last reading
    filled: Tensor  # [B] int64: the slots below hold an entry
    usage: Any  # [B, N], sum of all read weightings; empty unless the addressing counts reads


class Addressing(nn.Module):
    """From address fields and the state of a `SlotHistory` to its read weighting ``[B, N]``.

    A subclass defines `logits`.

    Args:
        slots: N.
        sampling: ``"gumbel"``: one slot, drawn with the given noise, in evaluation the best one; ``"softmax"``: all of
            them, weighted, without noise.
        temperature: of either, where its buffer starts.

    Attributes:
        slots: N.
        address_size: A.
        counts_reads: the memory must keep how often each slot was read.
        key_size: D, of the slots' `keys`; 0: they have none.
        temperature: 0-dim buffer, to be annealed.
    """

    annealed = ("temperature",)
    address_size: int
    counts_reads = False
    key_size = 0
    keys: Tensor
    temperature: Tensor

    def __init__(
        self, slots: int, sampling: Sampling, temperature: float, *, device: Any, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        require_positive(slots=slots)
        if sampling not in ("gumbel", "softmax"):
            raise unknown_name("sampling", sampling, ("gumbel", "softmax"))
        if temperature <= 0:
            raise OptionError(f"temperature must be positive, got {temperature}; an inverse one of 0 is a large one.")
        self.slots, self.sampling = slots, sampling
        self.register_buffer("temperature", torch.tensor(float(temperature), device=device, dtype=dtype))

    @property
    def noisy(self) -> bool:
        """Whether a draw is made, which needs noise ``[B, N]``."""
        return self.sampling == "gumbel"

    def logits(self, address_BA: Tensor, state: SlotHistoryState) -> Tensor:
        """How much each slot is wanted, ``[B, N]``."""
        raise TypeError(f"{type(self).__name__} must define logits(address, state).")

    def forward(self, address_BA: Tensor, state: SlotHistoryState, noise_BN: Tensor | None = None) -> Tensor:
        """The read weighting ``[B, N]``."""
        logits_BN = self.logits(address_BA, state)
        if self.noisy:
            return gumbel_softmax(logits_BN, self.temperature, noise_BN)
        return (logits_BN / self.temperature).softmax(-1)


class AutoAddressing(Addressing):
    """ARMIN's: the address fields are the logits (eq. 9); what the slots contain does not matter.

    Args:
        slots: N.
        sampling: ``"gumbel"`` or ``"softmax"``.
        temperature: where it starts.
    """

    references = ("armin", "gumbel_softmax")

    def __init__(
        self,
        slots: int,
        *,
        sampling: Sampling = "gumbel",
        temperature: float = 1.0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(slots, sampling, temperature, device=device, dtype=dtype)
        self.address_size = slots

    def logits(self, address_BA: Tensor, state: SlotHistoryState) -> Tensor:
        """The address fields."""
        return address_BA


class TardisAddressing(Addressing):
    """TARDIS's: every slot is compared with a query, by key, contents and how often it was read::

        l_i = v . tanh(query + W_k key_i + W_m M_i + W_u u / |u|) - penalty w_i

    with the counts of past reads u, and w the last read weighting, so that no slot is read twice running.

    Args:
        slots: N.
        width: W.
        query_size: Q, also the width of the comparison; the address fields are the query.
        key_size: D, of the trained key that each slot has.
        penalty: on the slot read last.
        penalty_gradient: let the gradient pass through it into the reading of the step before, as in the released code:
            a hundredfold, it drowns all others, most of all after clipping.
        normalisation: of the logits over the slots: ``"none"``, ``"l2"``, or ``"layer_norm"`` with gain and shift.
        order: ``"normalise_first"``, then the penalty; ``"penalise_first"`` as in the released code, where after
            ``"l2"`` little is left of what the other slots differ in.
        sampling: ``"gumbel"`` or ``"softmax"``.
        temperature: where it starts.

    Raises:
        OptionError: a size below one or an unknown name.
    """

    references = ("tardis", "gumbel_softmax")
    counts_reads = True

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        query_size: int,
        key_size: int,
        penalty: float = 100.0,
        penalty_gradient: bool = False,
        normalisation: Literal["none", "l2", "layer_norm"] = "none",
        order: Literal["normalise_first", "penalise_first"] = "normalise_first",
        sampling: Sampling = "gumbel",
        temperature: float = 1.0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(slots, sampling, temperature, device=device, dtype=dtype)
        require_positive(width=width, query_size=query_size, key_size=key_size)
        if normalisation not in ("none", "l2", "layer_norm"):
            raise unknown_name("normalisation", normalisation, ("none", "l2", "layer_norm"))
        if order not in ("normalise_first", "penalise_first"):
            raise unknown_name("order", order, ("normalise_first", "penalise_first"))
        self.address_size, self.key_size = query_size, key_size
        self.penalty, self.penalty_gradient = penalty, penalty_gradient
        self.normalisation, self.order = normalisation, order
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.keys = nn.Parameter(torch.empty(slots, key_size, **at))
        self.from_key = nn.Linear(key_size, query_size, bias=False, **at)  # W_k
        self.from_memory = nn.Linear(width, query_size, bias=False, **at)  # W_m
        self.from_usage = nn.Linear(slots, query_size, bias=False, **at)  # W_u
        self.score = nn.Linear(query_size, 1, bias=False, **at)  # v
        for parameter in self.parameters():
            nn.init.orthogonal_(parameter)
        if normalisation == "layer_norm":
            self.norm = nn.LayerNorm(slots, eps=1e-3, **at)

    def logits(self, address_BA: Tensor, state: SlotHistoryState) -> Tensor:
        """``l_i``, normalised as the constructor says."""
        common_BQ = address_BA + self.from_usage(unit(state.usage))
        slots_BNQ = self.from_memory(state.memory) + self.from_key(self.keys)
        logits_BN = self.score((common_BQ.unsqueeze(1) + slots_BNQ).tanh()).squeeze(-1)
        last_read_BN = state.read_weights.squeeze(1)
        penalty_BN = self.penalty * (last_read_BN if self.penalty_gradient else stop_gradient(last_read_BN))
        if self.order == "penalise_first":
            return self.normalised(logits_BN - penalty_BN)
        return self.normalised(logits_BN) - penalty_BN

    def normalised(self, logits_BN: Tensor) -> Tensor:
        """The logits normalised over the slots."""
        if self.normalisation == "l2":
            return unit(logits_BN)
        if self.normalisation == "layer_norm":
            return self.norm(logits_BN)
        return logits_BN


def unit(vector: Tensor) -> Tensor:
    """The vector divided by its length; zero stays zero, with a finite gradient."""
    return vector * (vector.square().sum(-1, keepdim=True) + 1e-12).rsqrt()
