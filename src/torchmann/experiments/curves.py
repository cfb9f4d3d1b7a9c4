"""Learning curves of an experiment: for each trial the median over its runs, and the spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchmann.analysis.style import styled
from torchmann.experiments.comparison import Place
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.record import Record

COLOURS = ("#1f4e79", "#c8372d", "#2a7f62", "#b8860b", "#6a4c93", "#4f9db8", "#8c564b", "#7f7f7f")
ACROSS = 3
"""Panels side by side."""


def curves(experiment: Experiment, found: Sequence[Place]) -> Figure:
    """A panel for each task: the experiment's curve of every model over the iterations.

    Lines are medians over the runs, bands go from the lowest to the highest run.
    """
    columns = list(dict.fromkeys(place.trial.column for place in found if place.records))
    rows = list(dict.fromkeys(place.trial.row for place in found if place.records))
    colours = {row: COLOURS[place % len(COLOURS)] for place, row in enumerate(rows)}
    across = max(1, min(ACROSS, len(columns)))
    down = max(1, -(-len(columns) // across))
    with styled():
        figure = Figure(figsize=(3.6 * across + 1, 2.6 * down + 0.4), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flatten()
        for axis, column in zip(axes, columns, strict=False):
            for place in found:
                if place.trial.column == column and place.records:
                    draw(axis, place.records, experiment.curve, place.trial.row, colours[place.trial.row])
            axis.set_title(column)
            axis.set_xlabel("iteration")
            axis.set_ylabel(experiment.curve.partition(":")[2].replace("_", " "))
            axis.grid(True)
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(fontsize=6)
        for axis in axes[len(columns) :]:
            axis.set_visible(False)
    return figure


def draw(axis: Axes, records: Sequence[Record], series: str, label: str, colour: str) -> None:
    """The median of the runs' curves as a line, lowest to highest as a band."""
    iterations, low, middle, high = spread(records, series)
    if not iterations:
        return
    axis.plot(iterations, middle, color=colour, linewidth=1.2, label=f"{label} ({len(records)})")
    axis.fill_between(iterations, low, high, color=colour, alpha=0.15, linewidth=0)


def spread(records: Sequence[Record], series: str) -> tuple[list[float], list[float], list[float], list[float]]:
    """Iterations, and lowest, median and highest value of the runs that have one there."""
    at: dict[float, list[float]] = {}
    for record in records:
        for iteration, value in zip(*record.curve(series), strict=True):
            at.setdefault(iteration, []).append(value)
    iterations = sorted(at)
    values = [at[iteration] for iteration in iterations]
    return (
        iterations,
        [min(each) for each in values],
        [statistics.median(each) for each in values],
        [max(each) for each in values],
    )
