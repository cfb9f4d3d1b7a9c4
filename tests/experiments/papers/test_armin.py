"""The experiments of the ARMIN paper are declared as its tables have them.

Source: "ARMIN: Towards a more efficient and light-weight recurrent memory network", tables 1-4, figures 2 and 3.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch

from torchmann.experiments import catalogue
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.measures import roughness
from torchmann.experiments.papers import armin, armin_characters
from torchmann.experiments.record import Record
from torchmann.experiments.runner import Unit, run
from torchmann.tasks.characters import PennTreebank
from torchmann.training.annealing import schedule_from

EXPERIMENTS = {**armin.EXPERIMENTS, **armin_characters.EXPERIMENTS}
with_data = pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="TORCHMANN_DATA is not set")


def settings(trial: Trial) -> Any:
    assert trial.config is not None
    return trial.config.settings


def reported(experiment: Experiment, key: str) -> float | None:
    number = experiment.trial(key).reported
    return None if number is None else number.value


def record(curve: list[float] | None = None, **fields: Any) -> Record:
    losses = [] if curve is None else curve
    known: dict[str, Any] = {field: None for field in Record.__dataclass_fields__}
    curves = {"train": {"iteration": [200 * (place + 1) for place in range(len(losses))], "loss": losses}}
    return Record(**known | {"curves": curves, "iteration": 200 * len(losses), "together": 1} | fields)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_in_the_catalogue_under_its_own_name(name: str) -> None:
    assert catalogue.find(name).name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_not_run_is_quoted_or_a_model_that_is_not_here(name: str) -> None:
    for trial in EXPERIMENTS[name]().trials:
        if trial.config is None:
            quoted = trial.reported is not None and trial.reported.quoted
            assert trial.missing.startswith("quoted" if quoted else ("no such model", "quoted"))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("table1", "ARMIN | copy", 7_600),
        ("table1", "NTM | associative recall", 19_600),
        ("table1", "SAM | priority sort", 78_000),
        ("table1", "NTM | priority sort", None),
        ("table1-loss", "NTM | priority sort", 0.012),
        ("table1-loss", "ARMIN | associative recall", 0.052),
        ("table1-loss", "ARMIN | copy", None),
        ("table1-minutes", "NTM | priority sort", 360),
        ("table1-minutes", "ARMIN | repeat copy", 36),
        ("table2", "DNC | pMNIST", 94.3),
        ("table2", "SAM | pMNIST", None),
        ("table2", "SAB | pMNIST", 94.2),
        ("table2-memory", "ARMIN | pMNIST", 2_713),
        ("table2-minutes", "TARDIS | pMNIST", 24),
        ("table3", "ARMIN (500 units) | PTB", 1.236),
        ("table3", "FS-LSTM+LN+Zoneout | enwik8", 1.277),
        ("table3", "ARMIN (800 units, 2 layers) | enwik8", 1.331),
        ("text", "ARMIN (800 units), no reads in the output | PTB", 1.220),
        ("text", "LSTM+LN+Zoneout, T = 50 | PTB", 1.39),
        ("table4", "ARMIN 2 | PTB", 1.223),
        ("table4-memory", "LSTM 2 | PTB", 3_270),
        ("table4-speed", "ARMIN 1 | PTB", 98_000),
    ],
)
def test_the_numbers_of_the_paper(name: str, key: str, value: float | None) -> None:
    assert reported(EXPERIMENTS[f"armin/{name}"](), key) == (None if value is None else pytest.approx(value))


def test_the_numbers_of_a_table_are_of_the_same_runs() -> None:
    losses, minutes = armin.table1_loss(), armin.table1_minutes()
    for trial in armin.table1().trials:
        others = losses.trial(trial.key), minutes.trial(trial.key)
        assert all(other.config == trial.config for other in others)
        in_paper = not trial.row.endswith("corrected")
        assert [each.reported is not None for each in (trial, *others)].count(True) == (2 if in_paper else 0), trial.key


def test_figure_2_shows_runs_of_table_1() -> None:
    table = armin.table1()
    assert all(trial.config == table.trial(trial.key).config for trial in armin.figure2().trials)


def test_algorithmic_training_is_that_of_the_paper() -> None:
    for trial in armin.table1().runnable:
        assert trial.config is not None
        assert trial.config.optimiser.to_dict() == {
            "name": "rmsprop", "lr": 1e-4, "alpha": 0.95, "momentum": 0.9, "eps": 1e-8
        }  # fmt: skip
        mine = settings(trial)
        assert (mine.batch_size, mine.iterations, mine.clip, mine.clip_limit) == (1, 100_000, "value", 10.0)
        assert mine.log_every == 200, "a window of the criterion is a line of the metrics"


def test_pixel_training_is_that_of_the_paper() -> None:
    for trial in armin.table2().runnable:
        mine = settings(trial)
        assert (mine.batch_size, mine.iterations, mine.clip, mine.clip_limit) == (128, 63_300, "global", 1.0)
        assert mine.patience is None, "the last weights are tested"


@pytest.mark.parametrize(
    ("experiment", "key", "iteration", "inverse"),
    [
        (armin.table1, "TARDIS | copy", 0, 2),
        (armin.table1, "AwTA | copy", 399, 2),
        (armin.table1, "AwTA | copy", 400, 3),
        (armin.table1, "AwTA | copy", 99_999, 50),
        (armin.table2, "ARMIN | pMNIST", 0, 1),
        (armin.table2, "TARDIS | pMNIST", 0, 2),
        (armin.table2, "TARDIS | pMNIST", 60_000, 27),
        (armin_characters.table3, "ARMIN (800 units) | PTB", 265, 1),
        (armin_characters.table3, "ARMIN (800 units) | PTB", 266, 2),
        (armin_characters.table3, "ARMIN (800 units) | PTB", 26_599, 20),
    ],
)
def test_temperatures(experiment: Any, key: str, iteration: int, inverse: float) -> None:
    (text,) = settings(experiment().trial(key)).anneal
    name, _, schedule = text.partition("=")
    assert name == "temperature"
    assert schedule_from(schedule)(iteration) == pytest.approx(1 / inverse)


def test_released_armin_reads_softly_and_is_not_annealed() -> None:
    trial = armin.table1().trial("ARMIN | copy")
    assert trial.config is not None
    cell: Any = trial.config.build_model(trial.config.build_task()).body.cell
    assert not cell.memory.addressing.noisy
    assert settings(trial).anneal == ()


@pytest.mark.parametrize(
    ("row", "steps", "batch_size", "iterations"), [("ARMIN 1", 50, 384, 26_600), ("ARMIN 2", 50, 300, 34_100)]
)
def test_table_4_trains_100_epochs_of_short_pieces(row: str, steps: int, batch_size: int, iterations: int) -> None:
    config = armin_characters.table4().trial(f"{row} | PTB").config
    assert config is not None
    assert config.task.options["steps"] == steps
    assert (config.settings.batch_size, config.settings.iterations) == (batch_size, iterations)


class Sizes(NamedTuple):
    """What of a task its model must know."""

    input_kind: str
    input_size: int
    output_size: int
    word_vectors: None = None
    sentence_length: None = None


PIXELS, CHARACTERS = Sizes("vector", 1, 10), Sizes("tokens", 50, 50)


def count(trial: Trial, sizes: Any) -> int:
    """The parameters of the model, none of which is made."""
    assert trial.config is not None
    choice = trial.config.model
    config = replace(trial.config, model=replace(choice, options={**choice.options, "device": "meta"}))
    return sum(parameter.numel() for parameter in config.build_model(sizes).parameters())


COUNTED = [
    *((trial, Sizes("vector", 10, 8)) for trial in armin.table1().runnable),
    *((trial, PIXELS) for trial in armin.table2().runnable),
    *((trial, CHARACTERS) for trial in (*armin_characters.table3().runnable, *armin_characters.table4().runnable)),
]


@pytest.mark.parametrize(
    ("trial", "sizes"), [pytest.param(*pair, id=pair[0].key) for pair in COUNTED if pair[0].parameters is not None]
)
def test_models_have_the_published_counts(trial: Trial, sizes: Sizes) -> None:
    """To the unit in which the paper says them."""
    assert trial.parameters is not None
    unit = 10 ** (len(digits := str(trial.parameters)) - len(digits.rstrip("0")))
    assert abs(count(trial, sizes) - trial.parameters) <= unit / 2


@pytest.mark.parametrize("key", [trial.key for trial in armin.table1().runnable if not trial.key.startswith("SAM")])
def test_algorithmic_models_are_built(key: str) -> None:
    trial = armin.table1().trial(key)
    assert trial.config is not None
    task = trial.config.build_task()
    batch = task.batch(0, 1, seed=0)
    output, _ = trial.config.build_model(task)(batch.inputs[:2])
    assert output.shape == (2, 1, task.output_size)


def test_sam_has_one_layer_as_its_count_says() -> None:
    """Two would have 195 thousand parameters, and the paper says 109."""
    assert count(armin.table1().trial("SAM | copy"), Sizes("vector", 10, 8)) == 79_174


def test_solved_is_a_low_loss_with_few_peaks_in_ten_windows() -> None:
    high, low = [0.5] * 5, [0.005] * 10
    assert armin.SOLVED.of(record(high)) is None
    assert armin.SOLVED.of(record(high + low)) == 200 * (5 + 8), "two of ten windows may be high"
    peaky = (high[:1] + low[:2]) * 10
    assert armin.SOLVED.of(record(peaky)) is None, "a third is high"


def test_minutes_end_where_a_task_is_solved() -> None:
    curve = [0.5] * 12 + [0.005] * 8 + [0.5] * 20
    assert armin.SOLVED.of(record(curve)) == 20 * 200
    assert armin.MINUTES.of(record(curve, seconds=1200.0)) == pytest.approx(10)
    assert armin.MINUTES.of(record([0.5] * 40, seconds=1200.0, together=2)) == pytest.approx(10)
    assert armin.MINUTES.of(record([], seconds=0.0)) is None


def test_roughness_is_that_of_the_logarithm_where_a_curve_is_low() -> None:
    of = roughness("train:loss", 0.1)
    assert of(record([1.0, 0.5, 0.9])) is None
    assert of(record([1.0, 0.01, 0.01, 0.01])) == 0
    assert of(record([1.0, 0.01, 0.001, 0.01, 0.0, 0.02])) == pytest.approx(1.0)


def test_speed_counts_the_characters_of_all_seeds() -> None:
    config = {"batch_size": 128, "task": {"name": "ptb/armin", "steps": 150}}
    done = record(config=config, iteration=10, seconds=60.0, together=2)
    assert armin_characters.SPEED.of(done) == pytest.approx(2 * 10 * 128 * 150 / 60)
    assert armin_characters.SPEED.of(replace(done, seconds=0.0)) is None


@with_data
@pytest.mark.slow
def test_a_smoke_run_of_figure_3_measures_inference(tmp_path: Any) -> None:
    experiment = armin_characters.figure3()
    (done,) = run(
        Unit(experiment.name, experiment.trial("ARMIN | 200 units"), "smoke", (0,), tmp_path / "run"), experiment
    )
    for measure in (experiment.measure, *experiment.measures):
        value = measure.of(done)
        assert value is not None and math.isfinite(value) and value > 0


@with_data
@pytest.mark.slow
def test_an_epoch_of_characters_is_once_through_the_text() -> None:
    config = armin_characters.table4().trial("ARMIN 1 | PTB").config
    assert config is not None
    task, rows, epoch = config.build_task(), config.settings.batch_size, config.settings.iterations // 100
    assert isinstance(task, PennTreebank)
    assert task.batch(0, rows, seed=0).inputs.shape == (50, rows)
    assert task.position(epoch, rows) == 0 < task.position(epoch - 1, rows)


def test_the_model_without_reads_shows_its_state_alone() -> None:
    trial = armin_characters.text().trial("ARMIN (800 units), no reads in the output | PTB")
    assert trial.config is not None
    options = {**trial.config.model.options, "hidden_size": 16}
    sizes: Any = CHARACTERS
    model = replace(trial.config, model=replace(trial.config.model, options=options)).build_model(sizes)
    cell: Any = model.body.cell
    assert cell.readout.linear.weight.shape == (50, 16)
    assert model(torch.arange(10).view(5, 2))[0].shape == (5, 2, 50)
