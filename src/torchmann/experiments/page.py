"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from torchmann.core.references import REFERENCES
from torchmann.experiments.comparison import places
from torchmann.experiments.curves import curves
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.report import (
    Table,
    claims_table,
    command,
    cost_table,
    deviations,
    made_with,
    measures_table,
    results_table,
    undecided,
)
from torchmann.experiments.results import Results

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-size: .87rem } th, td { padding: .25rem .7rem; text-align: left }
th { border-bottom: 2px solid #d5dade } tr + tr td { border-top: 1px solid #eceff1 } img { max-width: 100% }
code { background: #f2f4f6; padding: .1rem .3rem }
"""


def page(experiment: Experiment, results: Results, scale: str) -> str:
    """The report as a page."""
    found = places(experiment, results, scale)
    ran = any(place.records for place in found)
    parts = [
        f"<h1>{_text(experiment.name)}: {_text(experiment.title)}</h1>",
        f"<p>{_text(REFERENCES[experiment.source])}</p>",
        f"<p><code>{_text(command(experiment, scale))}</code> · measured by: {_text(experiment.measure.name)} · "
        f"runs in the paper: {experiment.seeds} · scale: {scale}</p>",
        _section("Paper against ours", table(results_table(experiment, found))),
    ]
    if experiment.claims:
        decided = claims_table(experiment, results, scale)
        waiting = f"<p>{_text(undecided(experiment, results, scale))}</p>"
        parts.append(_section("Claims", (table(decided) if len(decided) > 1 else "") + waiting))
    if ran:
        if experiment.measures:
            parts.append(_section("Other measures", table(measures_table(experiment, found))))
        parts.append(_section("Learning curves", image(curves(experiment, found))))
        parts.append(_section("Cost", table(cost_table(found))))
    differing = [*experiment.notes, *deviations(found)]
    if differing:
        parts.append(_section("Where this differs from the paper", _listed(differing)))
    made = made_with(found)
    if made:
        parts.append(f"<p>Made with {_text('; '.join(made))}.</p>")
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{_text(experiment.name)}</title>'
        f"<style>{STYLE}</style>\n<body>\n{body}\n</body></html>\n"
    )


def table(cells: Table) -> str:
    """A table in HTML."""
    head, *body = cells
    rows = [f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in body]
    return f"<table><tr>{''.join(f'<th>{_text(cell)}</th>' for cell in head)}</tr>{''.join(rows)}</table>"


def image(figure: Figure) -> str:
    """A picture within the page."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130, bbox_inches="tight")
    return f'<img alt="learning curves" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _section(title: str, content: str) -> str:
    return f"<h2>{_text(title)}</h2>\n{content}"


def _listed(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(sentence)}</li>' for sentence in sentences)}</ul>"


def _text(text: str) -> str:
    return html.escape(text)
