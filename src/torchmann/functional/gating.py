"""Gating of a memory by the input and by what it holds, as an LSTM gates its cell.

Shapes: B batch, N slots, W width, G width of a gate (W, or 1 for a whole slot).
Source: Santoro et al. 2018, "Relational recurrent neural networks", in the form of its authors' code.
"""

from __future__ import annotations

from torch import Tensor


def slot_gates(
    from_input: Tensor, from_memory: Tensor, *, input_bias: float | Tensor, forget_bias: float | Tensor
) -> tuple[Tensor, Tensor]:
    """The input gates and the forget gates of all slots, each ``[B, N, G]``::

        [i ; f] = W_x x + W_m tanh(M[n])
        input gate = sigmoid(i + b_i), forget gate = sigmoid(f + b_f)

    Args:
        from_input: ``W_x x``, ``[B, 2 G]``, the same for every slot.
        from_memory: ``W_m tanh(M[n])``, ``[B, N, 2 G]``.
        input_bias: b_i, one number.
        forget_bias: b_f, one number.
    """
    input_BNG, forget_BNG = (from_input.unsqueeze(1) + from_memory).chunk(2, dim=-1)
    return (input_BNG + input_bias).sigmoid(), (forget_BNG + forget_bias).sigmoid()


def gated_update(memory_BNW: Tensor, candidate_BNW: Tensor, input_BNG: Tensor, forget_BNG: Tensor) -> Tensor:
    """``M_t = i * tanh(candidate) + f * M_{t-1}``, ``[B, N, W]``, with the gates of `slot_gates`."""
    return input_BNG * candidate_BNW.tanh() + forget_BNG * memory_BNW
