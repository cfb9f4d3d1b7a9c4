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

SIZES = ((400, 128), (400, 64), (400, 32), (200, 32), (100, 32), (50, 32), (25, 16))
"""Steps of a sequence, and rows and columns of an image, at most: the first pair that makes the page small enough."""


def microscope_page(title: str, facts: Sequence[str], films: Sequence[Film]) -> str:
    """The page of some sequences, below `LARGEST` bytes.

    Args:
        title: of the page.
        facts: about the run, a few words each.
        films: what to show.
    """
    for most_steps, most_cells in SIZES:
        page = _page(title, facts, films, most_steps, most_cells)
        if len(page.encode()) <= LARGEST:
            break
    return page


def _page(title: str, facts: Sequence[str], films: Sequence[Film], most_steps: int, most_cells: int) -> str:
    numbers = Numbers()
    content = {
        "title": title,
        "facts": list(facts),
        "films": [film.content(numbers, most_steps, most_cells) for film in films],
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
