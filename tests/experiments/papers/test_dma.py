"""The declared experiments of differentiable memory allocation are those of the paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.tiny import copy_config, record

from torchmann import tasks
from torchmann.experiments.experiment import Trial
from torchmann.experiments.measures import unsteadiness
from torchmann.experiments.papers import dma
from torchmann.training import RunDirectory

needs_data = pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="TORCHMANN_DATA names no data sets")

ALL = {name: make() for name, make in dma.EXPERIMENTS.items()}


def test_figures() -> None:
    assert {name: len(figure.runnable) for name, figure in ALL.items()} == {
        "dma/figure1": 2,
        "dma/figure2": 2,
        "dma/figure4": 4,
    }
    assert all(figure.source == "dma" and len(figure.trials) == len(figure.runnable) for figure in ALL.values())


@pytest.mark.parametrize(
    ("name", "batch", "iterations", "rate", "size"),
    [("dma/figure1", 16, 100_000, 1e-4, 16), ("dma/figure2", 1, 50_000, 1e-3, 64), ("dma/figure4", 1, 200, 1e-3, 64)],
)
def test_settings(name: str, batch: int, iterations: int, rate: float, size: int) -> None:
    for trial in ALL[name].trials:
        assert trial.config is not None
        settings, model, optimiser = trial.config.settings, trial.config.model.options, trial.config.optimiser
        assert (settings.batch_size, settings.iterations) == (batch, iterations)
        assert (settings.clip, settings.clip_limit) == ("global", 50.0)
        assert (model["slots"], model["width"], model["reads"], model["hidden_size"]) == (size, size, 4, 64)
        assert optimiser.options == {"lr": rate, "alpha": 0.9, "momentum": 0.0, "eps": 1e-10}
        assert 100 <= settings.iterations // settings.log_every <= 200


def test_the_softmax_needs_one_more_number_of_the_interface() -> None:
    sizes = []
    for trial in ALL["dma/figure1"].trials:
        assert trial.config is not None
        sizes.append(trial.config.build_model(trial.config.build_task()).body.cell.memory.interface_size)
    sorted_, softmax = sizes
    assert sorted_ == 4 * 16 + 3 * 16 + 5 * 4 + 3 and softmax == sorted_ + 1


def test_figure_4_reports_the_ratio_of_the_paper() -> None:
    figure = ALL["dma/figure4"]
    reported = figure.trial("DMA (softmax) | fused engine").reported
    assert reported is not None and reported.value == pytest.approx(1.75, abs=0.01)


def test_speed_is_measured_against_the_twin_with_sorted_allocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(dma, "training_ratio", lambda *configs: seen.extend(configs) or 1.5)
    monkeypatch.setattr(dma, "inference_ratio", lambda *configs: 1.25)
    config = ALL["dma/figure4"].trial("DMA (softmax) | plain engine").config
    assert config is not None
    found = dma.speed_against_sorting(RunDirectory.create(tmp_path / "run", config))
    assert found == {"training_speed": 1.5, "inference_speed": 1.25}
    assert [each.model.options["allocation"] for each in seen] == ["softmax", "sorted"]
    assert {each.model.options["engine"] for each in seen} == {"eager"}


@needs_data
def test_stories_are_asked_for_words() -> None:
    config = ALL["dma/figure2"].trial("DMA (softmax) | bAbI").config
    assert config is not None
    task = tasks.make(config.task.name, **{**config.task.options, "tasks": [1]})
    model = config.build_model(task)
    assert model.config["allocation"] == "softmax" and model.config["embedding_size"] == 64
    assert task.batches("validation", 1) == 200


def test_unsteadiness_is_the_way_that_a_curve_need_not_have_gone() -> None:
    def of(*values: float) -> float | None:
        curves = {"train": {"iteration": list(range(len(values))), "loss": list(values)}}
        return unsteadiness("train:loss")(record(Trial("RNN", "copy", copy_config()), curves=curves))

    assert of(4, 3, 1) == 0 and of(4, 5, 1) == 2 and of(1, 2, 1, 2) == 2
    assert of(1) is None
