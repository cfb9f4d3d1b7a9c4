"""How TensorFlow and Sonnet lay out an LSTM: one kernel, gate order input, candidate, forget, output."""

from __future__ import annotations

import torch
from torch import Tensor


def lstm_parameters(kernel: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Parameters of `LSTMCell` from a kernel ``[I + H, 4H]`` and a bias ``[4H]``.

    These sources add 1 to the forget gate at run time; here it is part of the bias.
    """
    hidden = bias.shape[0] // 4
    i, g, f, o = kernel.chunk(4, dim=1)
    weight = torch.cat([i, f, g, o], dim=1).T
    i, g, f, o = bias.chunk(4)
    return {
        "weight_ih": weight[:, :-hidden],
        "weight_hh": weight[:, -hidden:],
        "bias": torch.cat([i, f + 1, g, o]),
    }
