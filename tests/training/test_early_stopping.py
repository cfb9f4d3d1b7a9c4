from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest
from tests.training.test_loop import Halves, training
from torch import Tensor

from torchmann.core import OptionError
from torchmann.tasks import Batch, Score
from torchmann.training.early_stopping import BestScore


def test_the_best_is_the_first_of_equals_and_no_number_is_never_better() -> None:
    best = BestScore()
    assert [best.observe(score, i) for i, score in enumerate([math.nan, 0.5, 0.5, 0.4, 0.6, math.nan], start=1)] == [
        *(False, True, False, False, True, False)
    ]
    assert (best.score, best.iteration, best.waited) == (0.6, 5, 1)
    assert BestScore(**asdict(best)) == best


class Worsens(Halves):
    """The score on validation sequences rises to the third evaluation, then falls."""

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        if not hasattr(self, "seen"):
            self.seen = 0.0
        if output_TBO.shape[1] == 5:
            self.seen += 1
        scores = super().scores(output_TBO, batch)
        weight = scores["closeness"].weight
        return {"closeness": Score(weight * (1 - 0.1 * abs(self.seen - 3)), weight)}


def run(**settings: Any) -> Any:
    done = training(task=Worsens(), iterations=100, evaluate_every=2, evaluation_batches=1, **settings)
    list(done)
    return done


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_counts_evaluations_without_a_better_one(patience: int) -> None:
    done = run(patience=patience)
    assert done.stopped == "patience" and done.iteration == 2 * (3 + patience) and done.best.iteration == 6


def test_without_patience_the_best_is_known_all_the_same() -> None:
    done = run()
    assert done.stopped == "iterations" and done.best.iteration == 6 and done.best.score == 1


def test_patience_needs_validation_sequences() -> None:
    class NoneHeldOut(Halves):
        def batches(self, split: str, batch_size: int) -> int | None:
            return None if split == "train" else 0

    with pytest.raises(OptionError, match="patience needs validation sequences"):
        training(task=NoneHeldOut(), patience=1)
