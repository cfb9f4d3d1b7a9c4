"""Sizes: the same task with shorter or longer sequences, made by changing keywords of its constructor."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torchmann import tasks
from torchmann.core.errors import OptionError, unknown_name
from torchmann.tasks import Task

if TYPE_CHECKING:  # a configuration makes tasks of other sizes
    from torchmann.training.config import Choice

Range = tuple[int, int]
"""The smallest and the largest size, both included."""


class Sizes:
    """The sizes of a task, and the task at other ones.

    The keywords ``min_length`` and ``max_length`` are the size ``length``; any other keyword that is a whole number is
    a size of its own, from 1 to its value.

    Args:
        choice: the task.

    Attributes:
        ranges: of the task as it is, by the name of the size.

    Raises:
        OptionError: there is no such task, or it has no such option.
    """

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        cls, keywords = tasks.find(choice.name)
        bound = inspect.signature(cls).bind_partial(**{**keywords, **choice.options})
        bound.apply_defaults()
        self.ranges = _ranges(bound.arguments)
        self._made: dict[tuple[tuple[str, Range], ...], Task] = {}

    def require(self, name: str) -> Range:
        """The range of a size.

        Raises:
            OptionError: the task has no such size; the message suggests the nearest.
        """
        if name in self.ranges:
            return self.ranges[name]
        if not self.ranges:
            raise OptionError(f"task {self.choice.name!r} has no size that could be changed, so none named {name!r}.")
        raise unknown_name(f"size of task {self.choice.name!r}:", name, self.ranges)

    def task(self, ranges: Mapping[str, Range]) -> Task:
        """The task with its sizes in `ranges`, by name; those that are not named stay. Made once.

        Raises:
            OptionError: no such size, one that the task refuses, or one that changes the inputs or outputs of a model.
        """
        key = tuple(sorted(ranges.items()))
        if key not in self._made:
            self._made[key] = self._make(ranges)
        return self._made[key]

    def _make(self, ranges: Mapping[str, Range]) -> Task:
        options = dict(self.choice.options)
        for name, (low, high) in ranges.items():
            self.require(name)
            options |= {f"min_{name}": low, f"max_{name}": high} if self._is_pair(name) else {name: high}
        made = tasks.make(self.choice.name, **options)
        if ranges and _interface(made) != _interface(self.task({})):
            raise OptionError(
                f"{', '.join(ranges)} cannot be changed in training: the model's input or output would change."
            )
        return made

    def _is_pair(self, name: str) -> bool:
        return f"min_{name}" in inspect.signature(tasks.find(self.choice.name)[0]).parameters


def _ranges(keywords: Mapping[str, Any]) -> dict[str, Range]:
    whole = {name: value for name, value in keywords.items() if type(value) is int}
    ranges = {}
    for name, value in whole.items():
        ending = name.removeprefix("max_")
        if name != ending and f"min_{ending}" in whole:
            ranges[ending] = (whole[f"min_{ending}"], value)
        elif not (name.startswith("min_") and f"max_{name.removeprefix('min_')}" in whole):
            ranges[name] = (1, value)
    return ranges


def _interface(task: Task) -> tuple[str, int, int, int]:
    return task.input_kind, task.input_size, task.output_size, task.refresh_size
