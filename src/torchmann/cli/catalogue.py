"""``torchmann list``: what there is by name, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torchmann import models, tasks
from torchmann.cli.parser import Parser
from torchmann.cli.table import aligned
from torchmann.core.errors import DataError, unknown_name
from torchmann.core.references import REFERENCES, references_of, short_reference
from torchmann.data import DATA_SETS, DataSet, locate
from torchmann.interop.sources import SOURCES
from torchmann.models.presets import DIFFERENCES
from torchmann.tasks import Task
from torchmann.training import OPTIMISERS
from torchmann.training.config import MODEL_DEFAULTS, model_defaults

Rows = Iterator[Sequence[str]]

FEATURES = 8
"""Input and output features of the models whose parameters are counted."""


def list_names(arguments: Sequence[str]) -> int:
    """``torchmann list [KIND ...]``."""
    parser = Parser(prog="torchmann list", description="What there is by name, one line each.")
    parser.add_argument("kinds", metavar="KIND", nargs="*", help=f"Any of {', '.join(KINDS)}; all if none is given.")
    kinds = parser.parse_args(list(arguments)).kinds or list(KINDS)
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
    for kind in kinds:
        title, rows = KINDS[kind]
        print(f"{title}\n" + "\n".join(f"  {line}" for line in aligned(list(rows()))) + "\n")
    return 0


def _models() -> Rows:
    for name in models.names():
        model = models.build(
            name, input_kind="vector", input_size=FEATURES, output_size=FEATURES, **model_defaults(name)
        )
        count = sum(parameter.numel() for parameter in model.parameters())
        cited = "; ".join(map(short_reference, references_of(model)))
        yield name, f"{count:,}", cited, _purpose(models.model_named(name))


def _tasks() -> Rows:
    for name in tasks.names():
        cls, keywords = tasks.find(name)
        sizes = cls.input_kind if cls.needs_data else _sizes(tasks.make(name))
        preset = name.partition("/")[2]
        cited = "; ".join(short_reference(REFERENCES[key]) for key in ([preset] if preset else cls.references))
        yield name, sizes, cls.metric.replace("_", " "), cited, _given(keywords) if preset else _purpose(cls)


def _sizes(task: Task) -> str:
    return f"{task.input_kind} {task.input_size} to {task.output_size}"


def _data() -> Rows:
    for name, known in DATA_SETS.items():
        yield name, known.title, _whereabouts(name, known), known.licence


def _whereabouts(name: str, known: DataSet) -> str:
    """Where a data set is, or how to get it."""
    try:
        return str(locate(name))
    except DataError:
        return f"torchmann download {name}" if known.ways else "not to be downloaded"


def _optimisers() -> Rows:
    for name, make in OPTIMISERS.items():
        yield name, _purpose(make)


def _sources() -> Rows:
    for name, source in SOURCES.items():
        yield name, _purpose(inspect.getmodule(source))


def _presets() -> Rows:
    for name in models.names():
        rows = DIFFERENCES.get(models.model_named(name).__name__, ())
        for preset in sorted({preset for row in rows for preset in row.presets}):
            yield name, preset, _given({row.keyword: row.presets[preset] for row in rows if preset in row.presets})


def _given(keywords: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in keywords.items())


def _purpose(documented: object) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(documented) or "").partition("\n")[0].replace("`", "")


SIZES = ", ".join(f"{name} {value}" for name, value in MODEL_DEFAULTS.items())

KINDS: dict[str, tuple[str, Callable[[], Rows]]] = {
    "models": (
        f"models, with the number of parameters ({FEATURES} inputs and outputs, {SIZES}) and what to cite:",
        _models,
    ),
    "tasks": ("tasks, with inputs and outputs, metric and source; TASK/PAPER is a paper's variant:", _tasks),
    "data": ("data sets, where they are found or how to get them, and their licence:", _data),
    "optimisers": ("optimisers:", _optimisers),
    "sources": ("sources, other code bases whose weights are taken and given:", _sources),
    "presets": ("presets of models, with what they set in place of the recommended choices:", _presets),
}
"""By kind: what stands above the rows, and the rows."""
