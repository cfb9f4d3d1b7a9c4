"""Straight-through Gumbel softmax: a discrete choice that has a gradient.

Sources: Jang, Gu, Poole 2017, "Categorical reparameterization with Gumbel-softmax", section 2.2; "ARMIN: Towards a more
efficient and light-weight recurrent memory network".
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmann.core.gradients import straight_through


def gumbel_softmax(logits: Tensor, temperature: Tensor | float, noise: Tensor | None = None) -> Tensor:
    """One-hot at the maximum of ``logits + noise``, with the gradient of ``softmax((logits + noise) / temperature)``.

    Args:
        logits: ``[..., N]``; log-probabilities will do.
        temperature: above zero; the lower, the nearer is the softmax to the one-hot choice.
        noise: standard Gumbel noise of the shape of `logits`, which makes the choice a sample; None chooses the
            largest logit.

    Returns:
        The choice, ``[..., N]``.
    """
    noisy = logits if noise is None else logits + noise
    chosen = noisy.argmax(-1, keepdim=True)
    slots = torch.arange(noisy.shape[-1], device=noisy.device)
    return straight_through((slots == chosen).type_as(noisy), (noisy / temperature).softmax(-1))
