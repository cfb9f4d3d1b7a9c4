"""The length-generalisation curve: the score at sizes within and beyond those that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from torchmann.analysis.style import FAINT, HELD_OUT, INK, styled
from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training import Choice, evaluate_with_intervals
from torchmann.training.intervals import CONFIDENCE
from torchmann.training.sizes import Range, Sizes

SEQUENCES = 100
"""Test sequences of each size."""


class Point(NamedTuple):
    """The score at one size, and its confidence interval."""

    size: int
    score: float
    low: float
    high: float


class LengthCurve(NamedTuple):
    """The scores of a model over one size of its task.

    Attributes:
        size: its name, e.g. ``"length"``.
        metric: name of the score.
        trained: the range of the sizes that were trained.
        points: in order of size.
    """

    size: str
    metric: str
    trained: Range
    points: list[Point]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return self._asdict() | {"points": [point._asdict() for point in self.points]}


def length_curves(model: SequenceModel, task: Task, choice: Choice) -> list[LengthCurve]:
    """A curve for each size that `Task.longer` has labels of, such as ``"length 12"``.

    The sizes are the ends of the trained range, those of `Task.longer`, and the midpoints between all of these.

    Args:
        model: a trained model on the CPU.
        task: what it was trained on.
        choice: from which `task` was made.
    """
    sizes = Sizes(choice)
    longer: dict[str, dict[int, Task]] = {}
    for label, sized in task.longer().items():
        name, _, size = label.rpartition(" ")
        longer.setdefault(name, {})[int(size)] = sized
    curves = []
    for name, beyond in longer.items():
        trained = sizes.require(name)
        chosen = {size: sizes.task({name: (size, size)}) for size in _with_midpoints([*trained, *beyond])} | beyond
        points = [_point(model, chosen[size], size) for size in sorted(chosen)]
        curves.append(LengthCurve(name, task.metric, trained, points))
    return curves


def _with_midpoints(sizes: Sequence[int]) -> set[int]:
    return {*sizes, *((one + two) // 2 for one, two in pairwise(sorted(sizes)))}


def _point(model: SequenceModel, task: Task, size: int) -> Point:
    result = evaluate_with_intervals(model, task, "test", batch_size=SEQUENCES, batches=1, device=torch.device("cpu"))
    score = result.scores[task.metric]
    return Point(size, score, *result.intervals.get(task.metric, (score, score)))


def length_figure(curves: Sequence[LengthCurve], title: str) -> Figure:
    """Draw curves side by side, with their confidence intervals as bars and the trained sizes shaded."""
    with styled():
        figure = Figure(figsize=(1.4 + 5 * len(curves), 3), layout="constrained")
        for axis, curve in zip(figure.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves, strict=True):
            _draw(axis, curve)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def _draw(axis: Axes, curve: LengthCurve) -> None:
    low, high = curve.trained
    axis.axvspan(low - 0.5, high + 0.5, color=FAINT, alpha=0.5, linewidth=0, label="trained sizes")
    sizes, scores, lows, highs = map(list, zip(*curve.points, strict=True))
    below = [score - low for score, low in zip(scores, lows, strict=True)]
    above = [high - score for score, high in zip(scores, highs, strict=True)]
    look: dict[str, Any] = {"color": HELD_OUT, "linewidth": 1.2, "elinewidth": 1, "marker": "o", "markersize": 3}
    axis.errorbar(sizes, scores, [below, above], label=f"held out, {CONFIDENCE:.0%} interval", **look)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    axis.set_xlabel(curve.size.replace("_", " "))
    axis.set_ylabel(curve.metric.replace("_", " "))
    axis.grid(True, axis="y")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="best")
