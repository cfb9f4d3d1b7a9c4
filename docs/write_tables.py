"""Write the parts of these pages that are generated, the preset tables and the citations:

python docs/write_tables.py

A generated part stands between ``<!-- preset table: DNC -->``, ``<!-- citation: DNC writing=uniform:5 -->`` (a model
and keywords of it) or ``<!-- task table: copy recall -->`` (names of tasks) and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchmann.core.references import REFERENCES, short_reference
from torchmann.models import model_named, preset_table
from torchmann.tasks import find
from torchmann.training.config import model_defaults

DOCS = Path(__file__).parent
GENERATED = re.compile(r"(<!-- (preset table|citation|task table): (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def citation(subject: str) -> str:
    """What a model with some keywords cites, as a list."""
    name, *options = subject.lower().split()
    make: Any = model_named(name)  # each class has its own keywords
    model = make(1, **model_defaults(name), **dict(option.split("=") for option in options))
    lines = model.citation.splitlines()
    return "\n".join(textwrap.fill(line, 120, initial_indent="- ", subsequent_indent="  ") for line in lines)


def task_table(subject: str) -> str:
    """The presets of some tasks, and what they set."""
    lines = ["| task | metric | cited | preset | what it sets |", "|---|---|---|---|---|"]
    for name in subject.split():
        cls, _ = find(name)
        cited = "; ".join(short_reference(REFERENCES[key]) for key in cls.references)
        cells = [f"`{name}`", cls.metric.replace("_", " "), cited]
        for preset, keywords in (cls.presets or {"": {}}).items():
            given = ", ".join(f"{key}={value}" for key, value in keywords.items())
            lines.append(f"| {' | '.join(cells)} | {preset and f'`{preset}`'} | {given} |")
            cells = ["", "", ""]
    return "\n".join(lines)


KINDS: dict[str, Callable[[str], str]] = {
    "preset table": preset_table,
    "citation": citation,
    "task table": task_table,
}


def generated(part: re.Match[str]) -> str:
    """A part as it should be, its marks included."""
    start, kind, subject, end = part.groups()
    return f"{start}\n{KINDS[kind](subject)}\n\n{end}"


def filled(page: str) -> str:
    """A page with all of its generated parts as they should be."""
    return GENERATED.sub(generated, page)


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
