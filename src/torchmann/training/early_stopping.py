"""Early stopping: which evaluation was the best so far, and how long ago."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class BestScore:
    """The best score on validation sequences so far; higher is better.

    Attributes:
        score: the best one; None before there is any.
        iteration: at which it was reached.
        waited: evaluations since.
    """

    score: float | None = None
    iteration: int = 0
    waited: int = 0

    def observe(self, score: float, iteration: int) -> bool:
        """Count an evaluation; whether it is better than all before. A score that is no number never is."""
        if not math.isnan(score) and (self.score is None or score > self.score):
            self.score, self.iteration, self.waited = score, iteration, 0
            return True
        self.waited += 1
        return False
