from __future__ import annotations

import pytest
import torch
import yaml
from tests.tasks.test_task import SYNTHETIC
from tests.training.tiny import tiny_config

from torchmann import models, tasks
from torchmann.core import OptionError
from torchmann.training import Choice, Config
from torchmann.training.config import model_defaults, with_interval


def test_a_configuration_survives_yaml() -> None:
    config = tiny_config(solved_at=0.9, max_seconds=None, clip="tensor")
    assert Config.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


def test_defaults_fill_only_what_a_constructor_leaves_open() -> None:
    assert model_defaults("dnc") == {"hidden_size": 64, "slots": 16, "width": 16}
    assert model_defaults("lstm") == {"hidden_size": 64}


@pytest.mark.parametrize("kind", ["vector", "tokens"])
def test_every_model_can_be_built_from_the_defaults(kind: str) -> None:
    for name in models.names():
        options = model_defaults(name)
        model = models.build(name, input_kind=kind, input_size=5, output_size=3, **options)  # type: ignore[arg-type]
        inputs = torch.zeros(2, 1, 5) if kind == "vector" else torch.zeros(2, 1, dtype=torch.int64)
        assert model(inputs)[0].shape == (2, 1, 3)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        config = tiny_config(seed=seed)
        torch.rand(3)
        return next(config.build_model(config.build_task()).parameters())

    assert torch.equal(weights(3), weights(3)) and not torch.equal(weights(3), weights(4))


def test_unknown_names_are_answered_with_the_nearest() -> None:
    config = tiny_config()
    with pytest.raises(OptionError, match="unknown task 'coppy': did you mean 'copy'"):
        Config(Choice("coppy"), config.model).build_task()
    with pytest.raises(OptionError, match="unknown model 'dncc': did you mean 'dnc'"):
        Config(config.task, Choice("dncc")).build_model(config.build_task())


def test_an_interval_that_is_not_given_follows_from_the_task() -> None:
    task = tasks.make("copy", max_length=50)
    assert with_interval({"writing": "uniform", "slots": 4}, task)["writing"] == "uniform:10"
    assert with_interval({"writing": "cached:3", "slots": 4}, task)["writing"] == "cached:3"
    batch = task.batch(0, 50, seed=0)
    first = batch.answer_mask.int().argmax(0).max()
    assert int(first) <= task.story_steps
    with pytest.raises(OptionError, match="give the interval"):
        unbounded = tasks.make("copy")
        unbounded.story_steps = None
        with_interval({"writing": "cached", "slots": 4}, unbounded)


@pytest.mark.parametrize("name", [name for name in SYNTHETIC if not name.startswith(("markov", "ngram"))])
def test_stories_are_no_longer_than_the_task_says(name: str) -> None:
    task = tasks.make(name)
    first = max(int(task.batch(k, 25, seed=0).answer_mask.int().argmax(0).max()) for k in range(8))
    assert task.story_steps is not None and task.story_steps - 4 <= first <= task.story_steps
