"""The report of an experiment as Markdown: paper against ours, claims, cost, deviations."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from torchmann.core.references import REFERENCES
from torchmann.experiments.comparison import NOT_RUN, Ours, Place, places, verdict
from torchmann.experiments.experiment import Experiment, Measure, Reported
from torchmann.experiments.measures import COST
from torchmann.experiments.record import Record
from torchmann.experiments.results import Results

Table = list[list[str]]
"""Cells in rows, the head first."""


def results_table(experiment: Experiment, found: Sequence[Place]) -> Table:
    """Paper against ours by the experiment's measure."""
    unit = f", {experiment.measure.unit}" if experiment.measure.unit else ""
    table = [["model", "task", f"paper{unit}", f"ours, mean ± sd{unit}", "median", "best", "n", ""]]
    for place in found:
        show, ours = place.measure.show, place.ours
        numbers = [show(ours.median), show(ours.best)] if ours.n > 1 else ["", ""]
        table.append(
            [
                place.trial.row,
                place.trial.column,
                reported(place.trial.reported, place.measure),
                mean_sd(ours, place.measure),
                *numbers,
                str(ours.n or ""),
                remark(place),
            ]
        )
    return table


def reported(number: Reported | None, measure: Measure) -> str:
    """A paper's number as a cell."""
    if number is None:
        return ""
    spread = f" ± {measure.show(number.sd)}" if number.sd is not None else ""
    return f"{measure.show(number.value)}{spread}{' (quoted)' if number.quoted else ''}"


def mean_sd(ours: Ours, measure: Measure) -> str:
    """Our mean and spread as a cell; with the share of runs that got there, where not all did."""
    if not ours.n:
        return ""
    if ours.mean is None:
        return f"none of {ours.n}"
    spread = f" ± {measure.show(ours.sd)}" if ours.sd is not None else ""
    part = f" (success rate {ours.success_rate:.0%})" if len(ours.values) < ours.n else ""
    return f"{measure.show(ours.mean)}{spread}{part}"


def remark(place: Place) -> str:
    """What stands behind a row."""
    parts = [place.trial.missing, place.answer, place.trial.note]
    if place.trial.config is not None and not place.records:
        parts.append("not run")
    return "; ".join(part for part in parts if part)


def measures_table(experiment: Experiment, found: Sequence[Place]) -> Table:
    """The experiment's other measures over the runs."""
    heads = [f"{measure.name}{f', {measure.unit}' if measure.unit else ''}" for measure in experiment.measures]
    rows = [
        [place.trial.row, place.trial.column]
        + [mean_sd(Ours.over(place.records, measure), measure) for measure in experiment.measures]
        for place in found
        if place.records
    ]
    return [["model", "task", *heads], *rows]


def cost_table(found: Sequence[Place]) -> Table:
    """Parameters beside the paper's count, and what the runs took."""
    table = [["model", "task", "parameters", "paper", *(f"{each.name}" for each in COST), "device"]]
    for place in found:
        if not place.records:
            continue
        first = place.records[0]
        count = "" if place.trial.parameters is None else f"{place.trial.parameters:,}"
        spent = [mean_sd(Ours.over(place.records, each), each) for each in COST]
        devices = "; ".join(dict.fromkeys(device(record) for record in place.records))
        table.append([place.trial.row, place.trial.column, f"{first.parameters:,}", count, *spent, devices])
    return table


def device(record: Record) -> str:
    """What a run was trained on."""
    several = f", {record.together} seeds at once" if record.together > 1 else ""
    return f"{record.device}{several}"


def claims_table(experiment: Experiment, results: Results, scale: str) -> Table:
    """The claims of which both sides were run, and what our runs say of each."""
    table = [["claim", "by", "ours", "against", "verdict"]]
    for claim in experiment.claims:
        told = verdict(claim, experiment, results, scale)
        if told.answer == NOT_RUN:
            continue
        sides = [mean_sd(side, told.measure) for side in (told.better, told.worse)]
        table.append([claim.text, told.measure.name, *sides, told.answer])
    return table


def undecided(experiment: Experiment, results: Results, scale: str) -> str:
    """How many claims want runs, as a sentence; empty if none does."""
    answers = [verdict(claim, experiment, results, scale).answer for claim in experiment.claims]
    count = answers.count(NOT_RUN)
    return f"Of {len(answers)} claims {count} are not decided, for want of runs." if count else ""


def deviations(found: Sequence[Place]) -> list[str]:
    """Where runs differ from the paper, each with the rows that it is said of."""
    said: dict[str, list[str]] = {}
    for place in found:
        for sentence in place.trial.deviations:
            said.setdefault(sentence, []).append(place.trial.row)
    everyone = len({place.trial.row for place in found if place.trial.config is not None})
    return [
        sentence if len(set(rows)) == everyone else f"{', '.join(dict.fromkeys(rows))}: {sentence}"
        for sentence, rows in said.items()
    ]


def command(experiment: Experiment, scale: str) -> str:
    """What runs it."""
    return f"torchmann reproduce {experiment.name}" + ("" if scale == "full" else f" --scale {scale}")


def made_with(found: Sequence[Place]) -> list[str]:
    """The versions and dates of the records."""
    records = [record for place in found for record in place.records]
    versions = dict.fromkeys(
        f"torchmann {record.versions['torchmann']}, PyTorch {record.versions['torch']}, "
        f"Python {record.versions['python']}"
        for record in records
    )
    dates = sorted({record.date for record in records})
    return [*versions, " to ".join(dict.fromkeys([dates[0], dates[-1]]))] if records else []


def markdown(experiment: Experiment, results: Results, scale: str, picture: str | None = None, level: int = 1) -> str:
    """The report as a page, or as a section of one.

    Args:
        experiment: to report on.
        results: where the records are.
        scale: of the runs.
        picture: path of the learning curves, from the page.
        level: of the heading.
    """
    found, mark = places(experiment, results, scale), "#" * level
    parts = [
        f"{mark} {experiment.name}: {experiment.title}",
        f"{REFERENCES[experiment.source]}",
        f"`{command(experiment, scale)}` · measured by: {experiment.measure.name} · runs in the paper: "
        f"{experiment.seeds}" + ("" if scale == "full" else f" · **scale {scale}: not the paper's training**"),
        as_markdown(results_table(experiment, found)),
    ]
    ran = any(place.records for place in found)
    if experiment.measures and ran:
        parts.append(as_markdown(measures_table(experiment, found)))
    claims = claims_table(experiment, results, scale)
    if len(claims) > 1:
        parts.append(as_markdown(claims))
    if waiting := undecided(experiment, results, scale):
        parts.append(waiting)
    if picture and ran:
        parts.append(f"![Learning curves of {experiment.name}]({picture})")
    if ran:
        parts.append(as_markdown(cost_table(found)))
    differing = [*experiment.notes, *deviations(found)]
    if differing:
        parts.append("Where this differs from the paper:\n\n" + "\n".join(f"- {sentence}" for sentence in differing))
    stale = results.stale(experiment, scale)
    if stale:
        parts.append(f"{len(stale)} stored records are of an earlier declaration, and not counted.")
    made = made_with(found)
    if made:
        parts.append(f"Made with {'; '.join(made)}.")
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def wrapped(part: str) -> str:
    """A part of a page with lines of 120 letters at most; headings, tables and pictures stay as they are."""
    lines = []
    for line in part.splitlines():
        if line.startswith(("#", "|", "!")):
            lines.append(line)
        else:
            indent = "  " if line.startswith("- ") else ""
            lines += textwrap.wrap(line, 120, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(lines)


def as_markdown(table: Table) -> str:
    """A table in Markdown."""
    head, *body = table
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in lines)
