"""A sentence as one vector: the sum of its words' vectors, each multiplied by what is learned for its position.

Shapes: T time, B batch, L words of the longest sentence, D numbers of a word's vector.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from torchmann.core.errors import ShapeError, require_positive, unknown_name

SentenceStart = Literal["sum", "mean"]


class SentenceEncoder(nn.Module):
    """``s = sum_j E[w_j] * m_j`` over the words of a sentence, with a learned vector ``m_j`` for each position.

    The position mask of entity networks and of the universal transformer ("sum"), or of TPR-RNN and STM ("mean").

    Args:
        embedding: E, of the words; word 0 is padding, and does not count.
        sentence_length: L.
        start: where every ``m_j`` starts: ``"sum"``: at 1, so that a sentence begins as the sum of its words;
            ``"mean"``: at 1 / L, as the mean of its words and its padding.

    Raises:
        OptionError: `sentence_length` is below 1, or an unknown `start`.
    """

    references = ("entity_network",)

    def __init__(self, embedding: nn.Embedding, sentence_length: int, start: SentenceStart = "sum") -> None:
        super().__init__()
        require_positive(sentence_length=sentence_length)
        if start not in ("sum", "mean"):
            raise unknown_name("start of the sentence encoder", start, ("sum", "mean"))
        self.embedding = embedding
        value = 1.0 if start == "sum" else 1 / sentence_length
        self.mask_LD = nn.Parameter(torch.full_like(embedding.weight[:1], value).repeat(sentence_length, 1).detach())

    def forward(self, words_TBL: Tensor) -> Tensor:
        """The vectors ``[T, B, D]`` of sentences ``[T, B, L]`` (int64); a sentence of padding is zero.

        Raises:
            ShapeError: the words are no numbers of words, or a sentence has not L of them.
        """
        length = self.mask_LD.shape[0]
        if words_TBL.is_floating_point() or words_TBL.shape[-1:] != (length,):
            raise ShapeError(
                f"inputs must be sentences [T, B, L] of word numbers (int64) with L = {length}, got {words_TBL.dtype} "
                f"of shape {list(words_TBL.shape)}: pad each with 0 to sentence_length={length}."
            )
        vectors_TBLD = self.embedding(words_TBL) * (words_TBL != 0).unsqueeze(-1)
        return (vectors_TBLD * self.mask_LD).sum(-2)
