"""What the commands print about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchmann.analysis import draw_run
from torchmann.training import EnsembleOutcome, Evaluation, Interval, Outcome, RunDirectory, Spread, Summary
from torchmann.training.ensemble_summary import LOSS
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


def report_ensemble(outcome: EnsembleOutcome) -> None:
    """Print how an ensemble ended: its members one by one, and what they come to."""
    path, summary = outcome.directory.path, outcome.summary
    if summary is None:
        print(f"{ENDINGS['interrupted']} after {outcome.iteration} iterations, {outcome.seconds:.0f} s; all in {path}.")
        return
    print(f"{len(summary.members)} seeds ended after {outcome.seconds:.0f} s; weights in {path}/seed_*.\n")
    print(_members_table(summary))
    for label, spreads in summary.results.items():
        print(f"\n{_spread_table(label, spreads)}")
    print(f"\nThe best is the seed with the best {summary.metric.replace('_', ' ')}.")
    if summary.success_rate is not None:
        print(f"Success rate: {summary.success_rate:.0%}, of {len(summary.members)} seeds.")


def _members_table(summary: Summary) -> str:
    """The members in rows, with loss and metric on the test split."""
    rows = [["seed", "iterations", "loss", summary.metric.replace("_", " "), ""]]
    for member in summary.members:
        test = member.scores.get("test", {})
        numbers = [_number(test[name]) if name in test else "-" for name in (LOSS, summary.metric)]
        ending = ENDINGS.get(member.stopped, member.stopped).lower()
        rows.append([str(member.seed), str(member.iteration), *numbers, ending])
    return _right_aligned(rows)


def _spread_table(label: str, spreads: Mapping[str, Spread]) -> str:
    """Scores in rows, each with its spread over the members."""
    rows = [[label, *Spread._fields]]
    for name, spread in spreads.items():
        numbers = [_number(value) if value is not None else "-" for value in spread[:-1]]
        rows.append([name.replace("_", " "), *numbers, str(spread.n)])
    return _right_aligned(rows)


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
    return _right_aligned(rows)


def _right_aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns but the first stand to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"


def _bounds(interval: Interval) -> str:
    return f"[{_number(interval.low)}, {_number(interval.high)}]"
