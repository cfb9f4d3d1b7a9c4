"""Confidence intervals: how far a score on some held-out sequences may be from the score on all sequences there are.

What is drawn at random is a whole sequence: its bits are not independent of each other, so they do not count as many
observations. A score is the ratio of two sums over the sequences, what was right and what was asked, and its variance
is that of a ratio estimator (Cochran 1977, "Sampling techniques", section 6.4)::

    var = S / (S - 1)  sum_s (total_s - p weight_s)²  /  (sum_s weight_s)²,     p = sum_s total_s / sum_s weight_s

Shapes: S sequences.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

CONFIDENCE = 0.95
"""Share of all evaluations whose interval holds the true score."""

Z = 1.959964
"""The normal distribution has that share between -Z and Z."""

METHOD = "over sequences; shares by Wilson's score interval with an effective sample size, others by a normal one"


class Interval(NamedTuple):
    """The bounds of a confidence interval."""

    low: float
    high: float


def interval(totals_S: Tensor, weights_S: Tensor) -> Interval | None:
    """The confidence interval of ``sum(totals) / sum(weights)``; None where the sequences do not tell it.

    A share, that is a score of which all sums are whole numbers, has Wilson's interval (Wilson 1927, "Probable
    inference, the law of succession, and statistical inference") with as many observations as would have that variance
    if they were independent (Korn, Graubard 1998): so it stays within 0 and 1, and has a width even where every answer
    was right. Any other score has the normal interval, ``p ± Z sqrt(var)``.

    Args:
        totals_S: of each sequence, what it adds to the numerator.
        weights_S: likewise to the denominator; a sequence of weight 0 has nothing to score.
    """
    scored_S = weights_S != 0
    totals_S, weights_S = totals_S[scored_S].double(), weights_S[scored_S].double()
    sequences = len(totals_S)
    if not sequences or not totals_S.isfinite().all():
        return None
    weight = float(weights_S.sum())
    score = float(totals_S.sum()) / weight
    squares = float((totals_S - score * weights_S).square().sum())
    variance = squares / weight**2 * sequences / (sequences - 1) if sequences > 1 else math.inf
    if _is_share(totals_S, weights_S):
        return _wilson(score, _effective_size(score, variance, sequences, weight))
    if sequences < 2:
        return None
    half = Z * math.sqrt(variance)
    return Interval(score - half, score + half)


def _is_share(totals_S: Tensor, weights_S: Tensor) -> bool:
    counted = (totals_S == totals_S.round()) & (weights_S == weights_S.round())
    return bool((counted & (totals_S >= 0) & (totals_S <= weights_S)).all())


def _effective_size(score: float, variance: float, sequences: int, weight: float) -> float:
    """How many independent observations have that variance: from one to one for each answer."""
    if score in (0.0, 1.0):  # all sequences agree, which says nothing of how alike the answers of one are
        return sequences
    return min(max(score * (1 - score) / variance, 1.0), weight) if variance else weight


def _wilson(share: float, observations: float) -> Interval:
    spread = Z * Z / observations
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
