"""Write the parts of these pages that are generated, the preset tables and the citations:

python docs/write_tables.py

A generated part stands between ``<!-- preset table: DNC -->`` or ``<!-- citation: DNC writing=uniform:5 -->`` (a model
and keywords of it) and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from torchmann.models import model_named, preset_table
from torchmann.training.config import model_defaults

DOCS = Path(__file__).parent
GENERATED = re.compile(r"(<!-- (preset table|citation): (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def citation(subject: str) -> str:
    """What a model with some keywords cites, as a list."""
    name, *options = subject.lower().split()
    make: Any = model_named(name)  # each class has its own keywords
    model = make(1, **model_defaults(name), **dict(option.split("=") for option in options))
    lines = model.citation.splitlines()
    return "\n".join(textwrap.fill(line, 120, initial_indent="- ", subsequent_indent="  ") for line in lines)


def generated(part: re.Match[str]) -> str:
    """A part as it should be, its marks included."""
    start, kind, subject, end = part.groups()
    text = preset_table(subject) if kind == "preset table" else citation(subject)
    return f"{start}\n{text}\n\n{end}"


def filled(page: str) -> str:
    """A page with all of its generated parts as they should be."""
    return GENERATED.sub(generated, page)


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
