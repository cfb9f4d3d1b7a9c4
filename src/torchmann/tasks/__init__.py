"""Tasks by name: what a model is trained on. A new task is one file and one line in `TASKS`."""

from __future__ import annotations

import inspect
from typing import Any

from torchmann.core.errors import unknown_name
from torchmann.tasks.babi import Babi, BabiBatch
from torchmann.tasks.check import check_task
from torchmann.tasks.copy import Copy
from torchmann.tasks.markov import MarkovText
from torchmann.tasks.recall import AssociativeRecall
from torchmann.tasks.repeat_copy import RepeatCopy
from torchmann.tasks.stream import StreamTask, TextStream
from torchmann.tasks.task import SPLITS, Batch, Score, Task, random_stream

TASKS: dict[str, type[Task]] = {
    "copy": Copy,
    "repeat-copy": RepeatCopy,
    "recall": AssociativeRecall,
    "markov": MarkovText,
    "babi": Babi,
}


def names() -> list[str]:
    """The names that `make` takes: every task, and every preset as ``task/preset``."""
    presets = [f"{name}/{preset}" for name, cls in TASKS.items() for preset in cls.presets]
    return sorted([*TASKS, *presets])


def find(name: str) -> tuple[type[Task], dict[str, Any]]:
    """The class of a task and the constructor keywords of its preset, if the name has one.

    Args:
        name: a task such as ``"copy"``, or a task and a preset such as ``"copy/dam"``.
    """
    task, slash, preset = name.partition("/")
    if task not in TASKS:
        raise unknown_name("task", name, names())
    presets = TASKS[task].presets
    if slash and preset not in presets:
        raise unknown_name("task", name, [task, *(f"{task}/{known}" for known in presets)])
    return TASKS[task], dict(presets[preset]) if slash else {}


def make(name: str, **options: Any) -> Task:
    """Build a task by name; `options` are its constructor's keywords and go before a preset's."""
    cls, keywords = find(name)
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise unknown_name(f"option of task {name!r}:", option, known)
    return cls(**keywords | options)


__all__ = [
    "Task",
    "Batch",
    "Score",
    "SPLITS",
    "TASKS",
    "names",
    "find",
    "make",
    "check_task",
    "random_stream",
    "Copy",
    "RepeatCopy",
    "AssociativeRecall",
    "StreamTask",
    "TextStream",
    "MarkovText",
    "Babi",
    "BabiBatch",
]
