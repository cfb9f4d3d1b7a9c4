"""The declared experiments of UW and CUW are those of the paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.measures import MILLISECONDS
from torchmann.experiments.papers import uw, uw_classification
from torchmann.memories import DenseFrom
from torchmann.training import RunDirectory

needs_data = pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="TORCHMANN_DATA names no data sets")

SYNTHETIC = {name: make() for name, make in uw.EXPERIMENTS.items()}
CLASSIFICATION = {name: make() for name, make in uw_classification.EXPERIMENTS.items()}
ALL = SYNTHETIC | CLASSIFICATION


def value(experiment: Experiment, key: str) -> float:
    """The number that the paper prints for a trial."""
    reported = experiment.trial(key).reported
    assert reported is not None
    return reported.value


def steps(trial: Trial) -> list[int]:
    """The steps of the story, counted from 1, at which a trial's model uses its memory."""
    assert trial.config is not None
    task = trial.config.build_task()
    cell = trial.config.build_model(task).body.cell
    assert task.story_steps is not None
    return [step for step, kind in enumerate(cell.schedule(task.story_steps), 1) if kind in ("dense", "cached")]


@pytest.mark.parametrize(
    ("name", "trials", "runnable", "seeds"),
    [
        ("uw/table2", 4 + 4 + 8 + 3 * 8 + 8 + 8, 56, 5),
        ("uw/figure2", 4 * 8, 32, 5),
        ("uw/figure3", 4 * 2, 8, 1),
        ("uw/table3", 5 * 2 + 5 * 2, 10, 1),
        ("uw/table4", 30, 12, 1),
    ],
)
def test_every_place_of_a_table_is_there(name: str, trials: int, runnable: int, seeds: int) -> None:
    experiment = ALL[name]
    assert (experiment.name, len(experiment.trials), len(experiment.runnable)) == (name, trials, runnable)
    assert experiment.seeds == seeds and experiment.source == "uw"
    quoted = [trial for trial in experiment.trials if trial.config is None]
    assert all(trial.missing == "quoted by the paper" and trial.reported.quoted for trial in quoted if trial.reported)


@pytest.mark.parametrize(
    ("name", "key", "number"),
    [
        ("uw/table2", "LSTM | reverse 100", 26.1),
        ("uw/table2", "NTM | copy 50", 40.1),
        ("uw/table2", "DNC | add 100", 22.3),
        ("uw/table2", "DNC+RW mask 2 | reverse 50", 70.8),
        ("uw/table2", "DNC+UW | reverse 50", 100.0),
        ("uw/table2", "DNC+CUW | max 100", 70.7),
        ("uw/figure3", "DNC+UW | clean", 0.44),
        ("uw/figure3", "DNC+CUW | noisy", 0.53),
        ("uw/table3", "r-LSTM | pMNIST", 95.2),
        ("uw/table3", "DNC 60 slots | MNIST", 98.1),
        ("uw/table3", "DNC+CUW | pMNIST", 96.3),
        ("uw/table4", "Skim-LSTM | IMDb", 91.2),
        ("uw/table4", "Region Embedding | DBP", 98.9),
        ("uw/table4", "DNC+UW | Yelp F.", 65.3),
        ("uw/table4", "DNC+CUW | Yah. A.", 74.3),
    ],
)
def test_the_numbers_of_the_paper(name: str, key: str, number: float) -> None:
    assert value(ALL[name], key) == number


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_tasks_are_trained_as_the_code_does(name: str) -> None:
    for trial in SYNTHETIC[name].runnable:
        assert trial.config is not None
        settings, optimiser = trial.config.settings, trial.config.optimiser
        assert (settings.batch_size, settings.iterations, optimiser.name) == (64, 10_000, "adam")
        assert optimiser.options == {"lr": 1e-3} and (settings.clip, settings.clip_limit) == ("tensor", 5.0)
        assert settings.evaluate_every == 100
        assert settings.evaluation_batches * settings.evaluation_batch_size == 320


def test_digits_are_trained_for_a_hundred_epochs() -> None:
    for trial in CLASSIFICATION["uw/table3"].runnable:
        assert trial.config is not None
        settings, model = trial.config.settings, trial.config.model.options
        assert settings.iterations * settings.batch_size == 100 * 50_000
        assert trial.config.optimiser.options["lr"] == 1e-4 and trial.config.optimiser.name == "rmsprop"
        assert model["hidden_size"] == 100 and model["controller"] == "gru"


def test_documents_end_after_five_epochs_without_a_gain() -> None:
    for trial in CLASSIFICATION["uw/table4"].runnable:
        assert trial.config is not None
        settings, model = trial.config.settings, trial.config.model.options
        assert settings.patience == 5 and model["hidden_size"] == 512
    agnews = CLASSIFICATION["uw/table4"].trial("DNC+UW | AG").config
    assert agnews is not None and agnews.settings.evaluate_every == 108_000 // 64
    assert agnews.model.options["slots"] == 4 and agnews.model.options["writing"] == "uniform:8"


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_synthetic_model_builds_with_the_parameters_of_the_paper(name: str) -> None:
    for trial in SYNTHETIC[name].runnable:
        assert trial.config is not None
        model = trial.config.build_model(trial.config.build_task())
        count = sum(parameter.numel() for parameter in model.parameters())
        assert trial.parameters in (None, count), trial.key


def test_table_2_counts_what_the_paper_does_but_for_its_unused_embeddings() -> None:
    table = SYNTHETIC["uw/table2"]
    assert table.trial("DNC+RW mask 1 | copy 50").parameters == 98_840 - 200
    assert table.trial("DNC+CUW | add 100").parameters == 96_120 - 200
    assert table.trial("DNC | max 50").parameters is None  # the counts are for ten classes


@pytest.mark.parametrize(
    ("name", "key", "writes"),
    [
        ("uw/table2", "DNC+UW | copy 50", [11, 21, 31, 41, 51]),  # the last one sees the terminator
        ("uw/table2", "DNC+UW | max 100", [21, 41, 61, 81, 101]),
        ("uw/table2", "DNC+CUW | add 50", [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]),
        ("uw/figure2", "NTM+UW | LSTM, 50 symbols, 2 slots", [18, 35]),
        ("uw/figure2", "DNC+UW | RNN, 30 symbols, 9 slots", [4, 7, 10, 13, 16, 19, 22, 25, 28, 31]),
        ("uw/figure3", "DNC+UW | noisy", [20, 40, 60, 80, 100]),
    ],
)
def test_when_the_memory_is_used(name: str, key: str, writes: list[int]) -> None:
    assert steps(SYNTHETIC[name].trial(key)) == writes


def test_random_writing_has_three_masks_of_about_five_steps() -> None:
    masks = [steps(SYNTHETIC["uw/table2"].trial(f"DNC+RW mask {mask} | copy 50")) for mask in uw.MASKS]
    assert len({tuple(mask) for mask in masks}) == 3 and all(2 <= len(mask) <= 10 for mask in masks)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_dnc_rows_run_fused(name: str) -> None:
    for trial in SYNTHETIC[name].runnable:
        assert trial.config is not None
        if trial.config.model.name == "dnc" and "CUW" not in trial.row and trial.column in FUSED:
            task = trial.config.build_task()
            model = trial.config.build_model(task)
            model.body.engine = "fused"  # raises where the kernel cannot run the cell
            batch = task.batch(0, 2, seed=0)
            model(batch.inputs, schedule=DenseFrom(model.body.cell, batch.first_answer_step))


FUSED = ("copy 50", "RNN, 30 symbols, 4 slots", "LSTM, 50 symbols, 24 slots", "clean")
"""A column of each kind."""


def test_time_saved_is_measured_against_the_dense_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(uw, "training_ratio", lambda *configs: seen.extend(configs) or 1.25)
    figure = SYNTHETIC["uw/figure2"]
    for place, row in enumerate(("DNC+UW", "DNC")):
        config = figure.trial(f"{row} | RNN, 30 symbols, 4 slots").config
        assert config is not None and figure.inspect is not None
        directory = RunDirectory.create(tmp_path / str(place), config)
        found = figure.inspect(directory)
        assert found == ({"time_saved": pytest.approx(0.2)} if row == "DNC+UW" else {})
    assert [config.model.options["writing"] for config in seen] == ["uniform:6:released", "every"]


def test_claims_of_figure_2_are_of_accuracy_and_of_time() -> None:
    claims = SYNTHETIC["uw/figure2"].claims
    assert (
        sum(claim.measure is MILLISECONDS for claim in claims) == 16 == sum(claim.measure is None for claim in claims)
    )


@needs_data
def test_digit_models_build() -> None:
    trial = CLASSIFICATION["uw/table3"].trial("DNC+CUW | pMNIST")
    assert trial.config is not None
    task = trial.config.build_task()
    assert task.batches("validation", 100) == 100
    model = trial.config.build_model(task)
    assert model.body.cell.attention is not None and model.body.cell.memory.slots == 15
