"""What the runs of a sweep come to: a row for each point, the best first, as a table for people and as CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from torchmann.core.atomic import write_atomically
from torchmann.experiments.sweeps.sweep import Point, Run, Sweep
from torchmann.training import RunDirectory, Spread
from torchmann.training.ensemble_summary import scores_in, spreads
from torchmann.training.progress import clock
from torchmann.training.run_directory import EVALUATION

MARKDOWN, CSV = "table.md", "table.csv"

SOLVED = "solved"


class Result(NamedTuple):
    """What a finished run came to.

    Attributes:
        metric: of its task; higher is better.
        held_out: the metric on validation sequences, of the weights that were kept; None for a task without any.
        test: the metric in the final evaluation; None if nothing was scored.
        seconds: of training.
        stopped: why it ended.
    """

    metric: str
    held_out: float | None
    test: float | None
    seconds: float
    stopped: str


class Row(NamedTuple):
    """What the runs of a point came to.

    Attributes:
        point: with its values.
        results: of the runs that have been evaluated.
        failed: how many came to a number that is not finite.
        held_out: the spread of the metric on validation sequences; None before there is any.
        test: likewise on the test split.
    """

    point: Point
    results: Sequence[Result]
    failed: int
    held_out: Spread | None
    test: Spread | None

    @property
    def decides(self) -> Spread | None:
        """What rows are sorted by: held-out sequences, and the test split only where a task has no others."""
        return self.held_out or self.test

    @property
    def metric(self) -> str:
        """Name of the metric; empty before there is a result."""
        return self.results[0].metric if self.results else ""

    @property
    def seconds(self) -> float | None:
        """Mean time of a run."""
        return statistics.fmean(result.seconds for result in self.results) if self.results else None

    @property
    def solved(self) -> int:
        """How many runs were solved."""
        return sum(result.stopped == SOLVED for result in self.results)


def result_of(run: Run) -> Result:
    """What a run that has been evaluated came to.

    Raises:
        DataError: its files are damaged.
    """
    directory = RunDirectory(run.path)
    found, test = directory.read_json(EVALUATION), scores_in(run.path).get("test", {})
    metric = found["metric"]
    held_out = [line.scores[metric] for line in directory.measurements() if line.split == "validation"]
    kept = None
    if held_out:  # of the weights that were kept: the best ones where training had patience
        kept = held_out[-1] if run.config.settings.patience is None else max(held_out)
    return Result(metric, kept, test.get(metric), found["seconds"], found["stopped"])


def rows_of(sweep: Sweep) -> list[Row]:
    """The points as far as they have been run, the best first.

    Raises:
        DataError: files of a run are damaged.
    """
    rows = []
    for point in sweep.points:
        runs = sweep.runs_of(point)
        results = [result_of(run) for run in runs if run.ended and not run.failed]
        held_out, test = (_spread([getattr(result, of) for result in results]) for of in ("held_out", "test"))
        rows.append(Row(point, results, sum(run.failed for run in runs), held_out, test))
    return sorted(rows, key=lambda row: -math.inf if row.decides is None else row.decides.mean, reverse=True)


def markdown(rows: Sequence[Row], seeds: int) -> str:
    """The rows as a table that is readable as it stands; a dash where there is nothing yet."""
    solvable = any(row.point.config.settings.solved_at is not None for row in rows)
    metrics = {row.metric for row in rows if row.metric}
    metric = metrics.pop().replace("_", " ") if len(metrics) == 1 else "metric"
    split = "test" if all(row.held_out is None for row in rows) else "held out"
    head = [*_short(list(rows[0].point.values)), f"{metric}, {split}", "median", "best", "test", "runs", "time"]
    table = [[*head, SOLVED] if solvable else head]
    for row in rows:
        decides = row.decides
        numbers = ["-", "-"] if decides is None else [_number(decides.median), _number(decides.best)]
        runs = f"{len(row.results)}/{seeds}" + (f", {row.failed} not finite" if row.failed else "")
        time = "-" if row.seconds is None else clock(row.seconds)
        cells = [*row.point.values.values(), _mean(decides), *numbers, _mean(row.test), runs, time]
        table.append([*cells, f"{row.solved}/{seeds}"] if solvable else cells)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, cells, widths)) + " |" for cells in table]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]) + "\n"


def as_csv(rows: Sequence[Row], seeds: int) -> str:
    """The rows with all digits, for other programs; empty where there is nothing yet."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    measured = [f"{split}_{name}" for split in ("held_out", "test") for name in Spread._fields]
    writer.writerow([*rows[0].point.values, "metric", *measured, "runs", "failed", SOLVED, "seconds"])
    for row in rows:
        numbers = [number for spread in (row.held_out, row.test) for number in spread or [None] * len(Spread._fields)]
        counts = [seeds, row.failed, row.solved, row.seconds]
        writer.writerow([*row.point.values.values(), row.metric, *numbers, *counts])
    return file.getvalue()


def write_tables(sweep: Sweep) -> list[Row]:
    """Write or replace both tables of a sweep; their rows.

    Raises:
        DataError: files of a run are damaged.
        OSError: the directory cannot be written to.
    """
    rows = rows_of(sweep)
    write_atomically(sweep.path / MARKDOWN, markdown(rows, sweep.seeds).encode())
    write_atomically(sweep.path / CSV, as_csv(rows, sweep.seeds).encode())
    return rows


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [{"score": value} for value in values if value is not None]
    return spreads(known, "score")["score"] if known else None


def _short(flags: Sequence[str]) -> list[str]:
    """Flags without the part that they belong to, where that leaves them different."""
    last = [flag.rpartition(".")[2] for flag in flags]
    return [short if last.count(short) == 1 else flag for flag, short in zip(flags, last, strict=True)]


def _mean(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return _number(spread.mean) + ("" if spread.sd is None else f" ± {_number(spread.sd)}")


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"
