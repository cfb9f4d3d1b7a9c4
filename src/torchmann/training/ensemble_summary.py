"""What the members of an ensemble come to: mean, spread, median, best and success rate."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torchmann.core.errors import DataError
from torchmann.training.run_directory import EVALUATION

LOSS = "loss"


class Spread(NamedTuple):
    """How a number is distributed over the members that have it.

    Attributes:
        mean: over the members.
        sd: the sample standard deviation; None for one member.
        median: over the members.
        best: that of the member with the best value of the task's metric.
        n: how many members.
    """

    mean: float
    sd: float | None
    median: float
    best: float
    n: int


class Member(NamedTuple):
    """How a member ended.

    Attributes:
        seed: of the member.
        stopped: as in `Outcome`, or ``"not finite"``.
        iteration: training steps done.
        seconds: of training, that of the others included.
        scores: loss and scores by split or size; empty where the member has no evaluation.
    """

    seed: int
    stopped: str
    iteration: int
    seconds: float
    scores: Mapping[str, Mapping[str, float]]


class Summary(NamedTuple):
    """What an ensemble comes to.

    Attributes:
        metric: the task's; higher is better.
        members: in the order of their seeds.
        success_rate: the share of all members that were solved; None where nothing says what solved is.
        results: loss and scores over the members, by split or size.
    """

    metric: str
    members: Sequence[Member]
    success_rate: float | None
    results: Mapping[str, Mapping[str, Spread]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {
            "metric": self.metric,
            "n": len(self.members),
            "success_rate": self.success_rate,
            "results": {
                label: {name: spread._asdict() for name, spread in spreads.items()}
                for label, spreads in self.results.items()
            },
            "members": [member._asdict() for member in self.members],
        }


def summarise(members: Sequence[Member], metric: str, *, solvable: bool) -> Summary:
    """The summary of members; those without an evaluation count in the success rate alone.

    Args:
        members: at least one.
        metric: of the task.
        solvable: training was to end where it was solved.
    """
    solved = sum(member.stopped == "solved" for member in members)
    labels = dict.fromkeys(label for member in members for label in member.scores)
    results = {label: spreads([m.scores[label] for m in members if label in m.scores], metric) for label in labels}
    return Summary(metric, members, solved / len(members) if solvable else None, results)


def spreads(scores: Sequence[Mapping[str, float]], metric: str) -> dict[str, Spread]:
    """The spread of each score over members, each with its scores by name."""
    best_first = sorted(scores, key=lambda score: -score.get(metric, -math.inf))
    found = {}
    for name in dict.fromkeys(name for score in scores for name in score):
        values = [score[name] for score in best_first if name in score]
        sd = statistics.stdev(values) if len(values) > 1 else None
        found[name] = Spread(statistics.fmean(values), sd, statistics.median(values), values[0], len(values))
    return found


def scores_in(directory: Path) -> dict[str, dict[str, float]]:
    """Loss and scores by split or size, as the evaluation of a run has found them; what is not finite is left out.

    Raises:
        DataError: the run's evaluation is missing or damaged.
    """
    path = directory / EVALUATION
    try:
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        rows = {label: {LOSS: found["loss"], **found["scores"]} for label, found in results.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not the evaluation of a run: resume the ensemble to make it again.") from error
    return {label: {name: value for name, value in row.items() if value is not None} for label, row in rows.items()}
