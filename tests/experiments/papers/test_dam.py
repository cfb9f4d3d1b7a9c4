"""The experiments of the DAM paper are declared as its tables and figures have them.

Source: "Distributed associative memory network with memory refreshing loss", tables 1-4, A.1-A.3, figures 2-6, C.1-E.2.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.experiments.tiny import record

from torchmann import models
from torchmann.experiments import catalogue
from torchmann.experiments.comparison import places
from torchmann.experiments.experiment import Experiment, Trial, config
from torchmann.experiments.papers import dam, dam_babi, dam_reasoning
from torchmann.experiments.papers.dam_gates import gate_numbers, gates
from torchmann.experiments.results import Results, identity
from torchmann.experiments.runner import pending
from torchmann.tasks import Batch
from torchmann.training import Config, RunDirectory, train_run
from torchmann.training.annealing import schedule_from

EXPERIMENTS = {**dam.EXPERIMENTS, **dam_reasoning.EXPERIMENTS, **dam_babi.EXPERIMENTS}


def configured(experiment: Experiment, key: str) -> Config:
    found = experiment.trial(key).config
    assert found is not None
    return found


def identities(experiment: Experiment) -> set[str]:
    return {identity(trial.config) for trial in experiment.trials if trial.config is not None}


def reported(experiment: Experiment) -> dict[str, float]:
    return {trial.key: trial.reported.value for trial in experiment.trials if trial.reported is not None}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_table_and_figure_is_in_the_catalogue_under_its_name(name: str) -> None:
    assert catalogue.find(name).name == name


def test_no_table_and_no_figure_of_the_paper_is_missing() -> None:
    figures = [
        *(f"figure{number}" for number in range(2, 7)),
        *(f"figure-{name}" for name in ["c1", "d1", "d2", "e1", "e2"]),
    ]
    assert set(EXPERIMENTS) == {f"dam/{name}" for name in ("table1", "table2", "table3", "table4", *figures)}


def test_figure_2_is_trained_as_table_a1_says() -> None:
    written = configured(dam.figure2(), "DAM-2-MR p=0.1 | copy").to_dict()
    assert written["task"] == {"name": "copy/dam"}
    assert written["model"] == {"name": "dam", "blocks": 2, "hidden_size": 128, "slots": 64, "width": 36}
    assert written["optimiser"] == {"name": "rmsprop", "lr": 1e-4, "alpha": 0.9, "momentum": 0.9, "eps": 1e-10}
    expected = {
        "batch_size": 16,
        "iterations": 10_000,
        "clip": "global",
        "clip_limit": 50.0,
        "refresh_probability": 0.1,
    }
    expected |= {"log_every": 50, "evaluate_every": 500, "evaluation_batches": 5, "evaluation_batch_size": 64}
    assert written | expected == written
    assert configured(dam.figure2(), "DAM-3 | recall").model.options["slots"] == 32


def test_figures_of_the_same_models_share_their_runs() -> None:
    assert identities(dam.figure_d1()) | identities(dam.figure_d2()) < identities(dam.figure3())
    assert dam.figure3().inspect is dam.figure_d1().inspect  # a run of either has what both show
    assert len(identities(dam.figure2()) & identities(dam.figure6())) == 4  # DAM-1 and DAM-3 without refreshing
    assert len(identities(dam.figure_e1()) & identities(dam.figure4())) == 3  # blocks of 16 x 36
    assert identities(dam_babi.table3()) == identities(dam_babi.table4()) < identities(dam_babi.figure_c1())


def test_representation_recall_divides_one_memory() -> None:
    options = [trial.config.model.options for trial in dam.figure3().runnable if trial.config.model.name == "dam"]  # type: ignore[union-attr]
    assert {entry["blocks"] * entry["slots"] * entry["width"] for entry in options} == {8192}
    assert configured(dam.figure3(), "DAM-8 | 16 segments").settings.iterations == 20_000


def test_figure_4_divides_each_width() -> None:
    for trial in dam.figure4().runnable:
        assert trial.config is not None
        options = trial.config.model.options
        assert options["slots"] == 16 and trial.column == f"recall, width {options['blocks'] * options['width']}"


def parameters(trial: Trial, input_size: int, output_size: int, kind: Any = "vector") -> int:
    assert trial.config is not None
    choice = trial.config.model
    with torch.device("meta"):
        model = models.build(
            choice.name, input_kind=kind, input_size=input_size, output_size=output_size, **choice.options
        )
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("experiment", "key", "sizes", "count"),
    [
        (dam.figure2, "DAM-2 | copy", (10, 10), 130_206),
        (dam.figure2, "DAM-3 | recall", (10, 10), 149_556),
        (dam.figure2, "DNC | copy", (10, 10), 110_858),
        (dam.figure3, "DNC | 8 segments", (66, 32), 376_360),
        (dam.figure3, "DAM-2 | 8 segments", (66, 32), 307_500),
        (dam.figure3, "DAM-4 | 8 segments", (66, 32), 274_232),
        (dam.figure3, "DAM-8 | 16 segments", (66, 32), 259_920),
        (dam_reasoning.table1, "DAM6-MR p=0.3 | nth farthest", (40, 48), 12_667_274),
        (dam_reasoning.table2, "DAM6-MR p=0.3 | N=5", (23, 44), 1_471_750),
        (dam_reasoning.table2, "DAM8-MR p=0.3 | N=10", (23, 44), 1_709_732),
        (dam_babi.figure5, "DAM-1 | bAbI", (160, 160, "tokens"), 802_671),
        (dam_babi.figure5, "DAM-2 | bAbI", (160, 160, "tokens"), 788_318),
        (dam_babi.figure5, "DAM-3 | bAbI", (160, 160, "tokens"), 878_525),
        (dam_babi.figure5, "DAM-4 | bAbI", (160, 160, "tokens"), 968_732),
    ],
)
def test_models_have_as_many_parameters_as_the_released_ones(experiment: Any, key: str, sizes: Any, count: int) -> None:
    trial = experiment().trial(key)
    assert parameters(trial, *sizes) == count
    assert abs(count - trial.parameters) < (100_000 if count > 1e6 else 5_001)  # to the paper's rounding


def test_tasks_widen_the_output_by_what_is_reproduced() -> None:
    for experiment, key, inputs, outputs in (
        (dam_reasoning.table1(), "DAM6-MR p=0.3 | nth farthest", 40, 48),
        (dam_reasoning.table2(), "DARMC8-MR p=0.3 | N=5", 23, 44),
    ):
        trained = configured(experiment, key)
        task = trained.build_task()
        assert (task.input_size, task.output_size + task.refresh_size) == (inputs, outputs)
        assert trained.settings.refresh_probability == 0.3


def test_relational_cores_have_the_total_units_of_the_paper() -> None:
    for experiment, key, blocks, units, heads in (
        (dam_reasoning.table1(), "DARMC4-MR p=0.3 | nth farthest", 4, 1536, 6),
        (dam_reasoning.table1(), "RMC-MR p=0.3 | nth farthest", None, 1536, 6),
        (dam_reasoning.table2(), "DARMC8-MR p=0.3 | N=5", 8, 2048, 8),
    ):
        options = configured(experiment, key).model.options
        assert options["slots"] * options["width"] == units and options["heads"] == heads
        assert options.get("blocks") == blocks


def test_tables_have_the_numbers_of_the_paper() -> None:
    first = reported(dam_reasoning.table1())
    assert [first[f"{row} | nth farthest"] for row in ("DNC", "RMC", "TPR", "STM")] == [25, 91, 13, 98]
    assert [first[f"{row}-MR p=0.3 | nth farthest"] for row in ("RMC", "DARMC4", "DAM6")] == [94, 98.2, 97.8]
    second = reported(dam_reasoning.table2())
    assert second["STM | N=10"] == 91.88 and second["DNC | N=10"] == 79.47 and second["LSTM | N=5"] == 89.15
    assert second["DARMC8-MR p=0.3 | N=10"] == 92.3 and second["DAM8-MR p=0.3 | N=5"] == 95.4
    third = dam_babi.table3().trial("DAM-2-MR p=0.1 | bAbI").reported
    assert third is not None and (third.value, third.sd) == (1.5, 1.3)
    assert reported(dam_babi.table4())["MNM-p | bAbI"] == 0.175


def test_rows_of_others_are_quoted_and_ours_are_run() -> None:
    for experiment in (dam_reasoning.table1(), dam_reasoning.table2(), dam_babi.table3(), dam_babi.table4()):
        for trial in experiment.trials:
            assert trial.reported is not None
            assert trial.reported.quoted == (trial.config is None) == ("MR" not in trial.row)


def test_the_tolerance_is_two_standard_errors() -> None:
    assert dam_reasoning.tolerance(97.8, 3200) == pytest.approx(0.5186, abs=1e-4)


def test_batches_and_optimisers_of_the_tables() -> None:
    farthest = configured(dam_reasoning.table1(), "DAM6-MR p=0.3 | nth farthest")
    assert (farthest.optimiser.name, farthest.optimiser.options["lr"]) == ("adam", 1e-4)
    assert farthest.settings.batch_size == 1600 and farthest.settings.clip_limit == 50
    hulls = configured(dam_reasoning.table2(), "DAM8-MR p=0.3 | N=5")
    assert (hulls.optimiser.name, hulls.settings.batch_size, hulls.settings.iterations) == ("rmsprop", 128, 300_000)


def test_babi_is_fine_tuned_at_a_smaller_rate() -> None:
    settings = configured(dam_babi.table3(), "DAM-2-MR p=0.3 | bAbI").settings
    assert settings.learning_rate is not None
    rate = schedule_from(settings.learning_rate)
    assert rate(97_599) == pytest.approx(3e-5) and rate(97_600) == rate(107_599) == pytest.approx(1e-5)
    assert settings.iterations == 107_600 and settings.batch_size == 32


def test_the_columns_of_the_hulls_are_judged_each_by_its_size_and_trained_once(tmp_path: Path) -> None:
    table = dam_reasoning.table2()
    small, large = (table.trial(f"DAM6-MR p=0.3 | N={points}") for points in (5, 10))
    results = Results(tmp_path)
    results.add(record(small, experiment=table.name, extra={"hulls right, N=5": 0.96, "hulls right, N=10": 0.9}))
    ours = {place.trial.key: place.ours.mean for place in places(table, results, "full")}
    assert ours[small.key] == pytest.approx(96) and ours[large.key] == pytest.approx(90)
    units = pending(table, "full", Results(tmp_path / "none"), tmp_path, seeds=[0], trials=table.runnable)
    assert [unit.trial.row for unit in units] == ["DAM6-MR p=0.3", "DAM8-MR p=0.3", "DARMC8-MR p=0.3"]


def test_babi_is_judged_by_the_mean_over_tasks() -> None:
    scores = {"error_qa1": 0.0, "error_qa2": 0.06, "error_qa3": 0.03, "question_accuracy": 0.9}
    done = record(dam_babi.table3().trial("DAM-2-MR p=0.1 | bAbI"), scores={"test": scores})
    assert dam_babi.ERROR.of(done) == pytest.approx(3) and dam_babi.FAILED.of(done) == 1


def test_the_logged_accuracy_of_the_released_code() -> None:
    curves = {"train": {"iteration": [1, 2], "bit_cross_entropy": [0.0, math.log(2)]}}
    done = record(dam.figure2().trials[0], curves=curves)
    assert dam.LIKELIHOOD.of(done) == pytest.approx(75)


def batch_of(answer_mask: torch.Tensor, lengths: list[int]) -> Batch:
    inputs = torch.zeros(*answer_mask.shape, 1)
    return Batch(inputs, inputs, torch.tensor(lengths), answer_mask, answer_mask, inputs, "binary", 0)


def test_the_gate_is_averaged_over_answers_and_shown_step_by_step() -> None:
    answered = torch.tensor([[False, False], [True, True], [True, False]])
    gate = torch.tensor([[0.5, 0.5], [0.9, 0.7], [0.8, 0.0]])  # of the first block; row 1 ends after two steps
    gate_TBKR = torch.stack([gate, 1 - gate], 2).unsqueeze(-1)
    numbers = gate_numbers(gate_TBKR, batch_of(answered, [3, 2]))
    assert numbers["gate, block 1"] == pytest.approx(0.8) and numbers["gate, least block"] == pytest.approx(0.2)
    assert numbers["gate, block 1, step 0"] == pytest.approx(0.5)
    assert numbers["gate, block 1, step 2"] == pytest.approx(0.8)  # padding is left out
    even = gate_numbers(torch.full((3, 2, 4, 1), 0.25), batch_of(answered, [3, 2]))
    assert even["gate, evenness"] == pytest.approx(1)


def trained(tmp_path: Path, task: Any, model: Any, **settings: Any) -> RunDirectory:
    sizes = {"iterations": 1, "batch_size": 2, "evaluation_batches": 1, "evaluation_batch_size": 2, "test_batches": 1}
    return train_run(config(task, model, ("adam", {}), **sizes | settings), tmp_path / "run").directory


SMALL = {"hidden_size": 8, "slots": 4, "width": 4}


def test_the_gates_of_a_run(tmp_path: Path) -> None:
    directory = trained(tmp_path, ("representation-recall", {"bits": 32}), ("dam", SMALL | {"blocks": 3}))
    numbers = gates(directory)
    weights = [numbers[f"gate, block {block}"] for block in (1, 2, 3)]
    assert sum(weights) == pytest.approx(1, abs=1e-5) and min(weights) == numbers["gate, least block"] > 0
    assert numbers["gate, block 3, step 25"] > 0 and "gate, block 1, step 26" not in numbers


@pytest.mark.parametrize("model", [("dnc", SMALL), ("dam", SMALL | {"blocks": 1})])
def test_without_several_blocks_there_is_no_gate_to_show(tmp_path: Path, model: Any) -> None:
    assert gates(trained(tmp_path, ("representation-recall", {"bits": 32}), model)) == {}


def test_a_model_of_hulls_is_tested_on_both_sizes(tmp_path: Path) -> None:
    directory = trained(tmp_path, "convex-hull/dam", ("dam", SMALL), refresh_probability=0.3)
    found = dam_reasoning.hull_accuracy(directory)
    assert set(found) == {f"{what} right, N={points}" for what in ("hulls", "labels") for points in (5, 10)}
    assert all(0 <= share <= 1 for share in found.values())
