"""The memory microscope: one HTML page that holds everything it needs, and asks the network for nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from torchmann.analysis.microscope.film import Film
from torchmann.analysis.microscope.numbers import Numbers

SCRIPTS = ("numbers.js", "colours.js", "panels.js", "matrix.js", "strips.js", "story.js", "microscope.js")
"""In the order in which they must run."""

STYLES = ("panels.css", "page.css")

LARGEST = 5_000_000
"""Bytes of a page at most."""

MOST_STEPS = 400
"""Steps of a sequence at most; fewer where the page would become too large."""


def microscope_page(title: str, facts: Sequence[str], films: Sequence[Film]) -> str:
    """The page of some sequences, below `LARGEST` bytes.

    Args:
        title: of the page.
        facts: about the run, a few words each.
        films: what to show.
    """
    steps = MOST_STEPS
    while True:
        page = _page(title, facts, films, steps)
        if len(page.encode()) <= LARGEST or steps <= 1:
            return page
        steps //= 2


def _page(title: str, facts: Sequence[str], films: Sequence[Film], most_steps: int) -> str:
    numbers = Numbers()
    content = {
        "title": title,
        "facts": list(facts),
        "films": [film.content(numbers, most_steps) for film in films],
    }
    parts = {
        "TITLE": title.replace("&", "&amp;").replace("<", "&lt;"),
        "STYLE": "\n".join(_file(name) for name in STYLES),
        "SCRIPT": "\n".join(_file(name) for name in SCRIPTS),
        "CONTENT": json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "NUMBERS": numbers.text(),
    }
    page = _file("page.html")
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    return page


def _file(name: str) -> str:
    return (files("torchmann.analysis.microscope") / name).read_text(encoding="utf-8")
