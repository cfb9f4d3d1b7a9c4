"""What the commands print about a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmann.analysis import draw_run
from torchmann.training import Evaluation, Interval, Outcome, RunDirectory
from torchmann.training.intervals import CONFIDENCE

ENDINGS = {
    "solved": "Solved",
    "patience": "Out of patience",
    "iterations": "Done",
    "time": "Out of time",
    "interrupted": "Stopped",
}


def report(outcome: Outcome) -> None:
    """Print how a run ended, and its scores."""
    ending = ENDINGS[outcome.stopped or ""]
    print(
        f"{ending} after {outcome.iteration} iterations, {outcome.seconds:.0f} s; weights in {outcome.directory.path}."
    )
    if outcome.evaluation is not None:
        print(f"\n{table(outcome.evaluation)}")


def draw(directory: RunDirectory, **options: Any) -> None:
    """Draw a run's pictures and print what they are; `options` are those of `draw_run`."""
    pictures = draw_run(directory, **options)
    print("Pictures:")
    for path, what in pictures.items():
        print(f"  {path}  ({what})")


def table(results: Mapping[str, Evaluation]) -> str:
    """Scores in rows, each above its confidence interval, splits and sizes in columns; a dash where there is none."""
    columns = results.values()
    names = list(dict.fromkeys(name for column in columns for name in column.scores))
    rows = [["", *results], ["loss", *(_number(column.loss) for column in columns)]]
    for name in names:
        scores = [_number(column.scores[name]) if name in column.scores else "-" for column in columns]
        bounds = [_bounds(column.intervals[name]) if name in column.intervals else "-" for column in columns]
        rows += [[name.replace("_", " "), *scores], [f"  {CONFIDENCE:.0%} interval", *bounds]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"


def _bounds(interval: Interval) -> str:
    return f"[{_number(interval.low)}, {_number(interval.high)}]"
