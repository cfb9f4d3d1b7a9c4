"""Config: all that a run is made from, as names and keywords that go into a YAML file and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchmann import models, tasks
from torchmann.core.errors import OptionError
from torchmann.memories import optimal_interval
from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training.optimisers import optimiser_named
from torchmann.training.seeds import initialisation
from torchmann.training.settings import Settings

MODEL_DEFAULTS = {"hidden_size": 64, "slots": 16, "width": 16}
"""What a model gets where its constructor has no default."""


def model_defaults(model: str) -> dict[str, Any]:
    """Those of `MODEL_DEFAULTS` that the constructor of the named model asks for and leaves open."""
    parameters = inspect.signature(models.model_named(model)).parameters
    open_ = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    return {name: value for name, value in MODEL_DEFAULTS.items() if name in open_}


def with_interval(options: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Model keywords in which the policies ``"uniform"`` and ``"cached"`` have got the interval that suits the task.

    Raises:
        OptionError: the task does not say how long its stories are.
    """
    writing = options.get("writing")
    if writing not in ("uniform", "cached"):
        return dict(options)
    if task.story_steps is None:
        raise OptionError(
            f"this task does not bound its stories: give the interval in steps, e.g. writing={writing}:10."
        )
    interval = optimal_interval(task.story_steps, options["slots"])
    return {**options, "writing": f"{writing}:{interval}"}


@dataclass(frozen=True)
class Choice:
    """A name in a registry, and the keywords that it is built with."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The name among its keywords."""
        return {"name": self.name, **self.options}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Choice:
        """The inverse of `to_dict`."""
        options = dict(values)
        return cls(options.pop("name"), options)


@dataclass(frozen=True)
class Config:
    """A run before it starts: equal configurations give equal runs.

    Args:
        task: as `torchmann.tasks.make` takes it.
        model: as `torchmann.models.build` takes it; sizes come from the task.
        optimiser: as `optimiser_named` knows it.
        settings: how to train.
    """

    task: Choice
    model: Choice
    optimiser: Choice = Choice("adam")
    settings: Settings = field(default_factory=Settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in the layout of the configuration file."""
        choices = {part: getattr(self, part).to_dict() for part in ("task", "model", "optimiser")}
        return choices | asdict(self.settings)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The inverse of `to_dict`."""
        rest = dict(values)
        choices = {part: Choice.from_dict(rest.pop(part)) for part in ("task", "model", "optimiser")}
        return cls(**choices, settings=Settings(**rest))

    def build_task(self) -> Task:
        """The task."""
        return tasks.make(self.task.name, **self.task.options)

    def build_model(self, task: Task) -> SequenceModel:
        """The model for `task`, with initial weights that depend on the seed alone."""
        widened = task.refresh_size if self.settings.refresh_probability else 0
        options = with_interval(self.model.options, task)
        with initialisation(self.settings.seed):
            return models.build(
                self.model.name,
                input_kind=task.input_kind,
                input_size=task.input_size,
                output_size=task.output_size + widened,
                word_vectors=task.word_vectors,
                sentence_length=task.sentence_length,
                **options,
            )

    def build_optimiser(self, model: nn.Module) -> Optimizer:
        """The optimiser of the model's parameters."""
        return optimiser_named(self.optimiser.name)(model.parameters(), **self.optimiser.options)
