"""Small untrained models whose films and pages the tests look at."""

from __future__ import annotations

from typing import Any

from tests.analysis.stories import Stories

from torchmann import models, tasks
from torchmann.analysis.microscope import Film, microscope_page
from torchmann.analysis.moments import films, longer_films
from torchmann.models import SequenceModel
from torchmann.tasks import Task

MEMORY = {"hidden_size": 8, "slots": 5, "width": 4}

KINDS: dict[str, dict[str, Any]] = {
    "dnc": {"name": "dnc", **MEMORY},
    "heads": {"name": "dnc", "reads": 2, "writes": 2, **MEMORY},
    "dam": {"name": "dam", "blocks": 2, **MEMORY},
    "ntm": {"name": "ntm", **MEMORY},
    "levels": {"name": "ntm2", **MEMORY},
    "lstm": {"name": "lstm", "hidden_size": 8},
    "held": {"name": "dnc", "writing": "uniform:2", **MEMORY},
    "cached": {"name": "dnc", "writing": "cached:2", **MEMORY},
    "words": {"name": "dnc", **MEMORY},
}
"""What is watched, as keywords of `models.build`."""


def watched(kind: str) -> tuple[SequenceModel, Task]:
    """A model and its task."""
    task = Stories() if kind == "words" else tasks.make("copy", bits=3, min_length=3, max_length=3)
    return models.build(
        **KINDS[kind], input_kind=task.input_kind, input_size=task.input_size, output_size=task.output_size
    ), task


def watched_films(kind: str, *, refreshed: bool = False) -> list[Film]:
    """Two moments of "training": other weights, and the model's own."""
    (model, task), (before, _) = watched(kind), watched(kind)
    moments = [("before", before.state_dict()), ("after", model.state_dict())]
    return [
        *films(model, task, moments, refreshed=refreshed),
        *longer_films(model, task, moments, refreshed=refreshed),
    ]


def watched_page(kind: str, *, refreshed: bool = False) -> str:
    """The page of `watched_films`."""
    return microscope_page(f"{kind} <watched>", ["a fact"], watched_films(kind, refreshed=refreshed))
