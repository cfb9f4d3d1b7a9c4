"""How all pictures look."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

INK, FAINT, GOOD, BAD = "#22303c", "#d5dade", "#2a7f62", "#c8372d"
TRAIN, HELD_OUT = "#9db4c8", "#1f4e79"

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "grid.color": "#eceff1",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def save(figure: Figure, path: Path, dpi: int = 150) -> Path:
    """Write a figure in the format that the ending of `path` names, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, bbox_inches="tight", pad_inches=0.12)
    return path


def styled() -> AbstractContextManager[None]:
    """The context in which a figure is made, so that it has this style."""
    return rc_context(STYLE)
