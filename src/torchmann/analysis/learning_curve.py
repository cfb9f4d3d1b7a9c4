"""The learning curve: loss and metric over iterations, on training batches and on held-out sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from torchmann.analysis.style import HELD_OUT, INK, TRAIN, styled
from torchmann.training import Measurement


def learning_curve(measurements: Sequence[Measurement], metric: str, title: str) -> Figure:
    """Draw the loss (logarithmic) above the metric.

    Args:
        measurements: of a run, in order.
        metric: name of the score to draw, a share of 1.
        title: of the picture.
    """
    with styled():
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        _curves(above, measurements, lambda measurement: measurement.loss)
        above.set_yscale("log")
        above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        above.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:.3g}"))
        above.yaxis.set_minor_locator(NullLocator())
        above.set_ylabel("loss")
        _curves(below, measurements, lambda measurement: measurement.scores.get(metric))
        below.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
        below.set_ylabel(metric.replace("_", " "))
        below.set_xlabel("iteration")
        below.legend(loc="lower right")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def _curves(axis: Axes, measurements: Sequence[Measurement], value: Callable[[Measurement], float | None]) -> None:
    looks: dict[str, dict[str, Any]] = {
        "train": {"color": TRAIN, "linewidth": 1.0, "label": "training batches"},
        "validation": {"color": HELD_OUT, "linewidth": 1.6, "marker": "o", "markersize": 3, "label": "held out"},
    }
    for split, look in looks.items():
        points = [(m.iteration, y) for m in measurements if m.split == split and (y := value(m)) is not None]
        if points:
            axis.plot(*zip(*points, strict=True), **look)
    axis.grid(True)
    axis.spines[["top", "right"]].set_visible(False)
