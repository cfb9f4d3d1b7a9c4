"""Two models that take turns are compared by the time of each."""

from __future__ import annotations

import time

import pytest
from tests.experiments.tiny import copy_config

from torchmann.experiments.papers import side_by_side
from torchmann.experiments.papers.side_by_side import inference_ratio, otherwise, training_ratio


@pytest.fixture(autouse=True)
def few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few turns as there may be."""
    monkeypatch.setattr(side_by_side, "SECONDS", 0.0)


def test_keywords_of_the_model_go_before_those_of_the_configuration() -> None:
    config = copy_config("dnc")
    other = otherwise(config, slots=5, allocation="softmax")
    assert other.model.options == {"hidden_size": 8, "slots": 5, "width": 4, "allocation": "softmax"}
    assert config.model.options["slots"] == 4 and other.task == config.task and other.settings == config.settings


@pytest.mark.parametrize("part", ["_training_step", "_answer"])
def test_the_slower_one_has_the_larger_ratio(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {4: 0.002, 8: 0.012}
    monkeypatch.setattr(side_by_side, part, lambda config: lambda: time.sleep(seconds[config.model.options["slots"]]))
    ratio = training_ratio if part == "_training_step" else inference_ratio
    fast, slow = copy_config("dnc"), otherwise(copy_config("dnc"), slots=8)
    assert ratio(fast, slow) > 2 > 0.5 > ratio(slow, fast)


def test_real_models_are_trained_and_asked() -> None:
    config = copy_config()
    assert training_ratio(config, config) > 0 and inference_ratio(config, config) > 0
