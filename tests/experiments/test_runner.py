import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.tiny import copy_config, experiment

from torchmann.core.errors import DataError, OptionError
from torchmann.experiments.experiment import Trial, config
from torchmann.experiments.results import Results
from torchmann.experiments.runner import Budget, Unit, pending, ready, run, run_all
from torchmann.training import RunDirectory

EXPERIMENT = experiment(inspect=lambda run: {"lines": float(len(run.measurements()))})
RNN = EXPERIMENT.trials[0]


def unit(tmp_path: Path, *seeds: int, trial: Trial = RNN, scale: str = "full") -> Unit:
    return Unit(EXPERIMENT.name, trial, scale, seeds, tmp_path / "run")


def test_what_has_no_record_is_pending(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    for record in run(unit(tmp_path, 1), EXPERIMENT):
        results.add(record)
    found = pending(EXPERIMENT, "full", results, tmp_path, seeds=range(4), trials=EXPERIMENT.runnable)
    assert [(each.trial.row, each.seeds) for each in found] == [("RNN", (0,)), ("RNN", (2, 3)), ("LSTM", (0, 1, 2, 3))]
    assert [each.directory.name for each in found] == ["seed-0", "seeds-2-3", "seeds-0-3"]


def test_a_record_has_all_that_the_report_says(tmp_path: Path) -> None:
    (record,) = run(unit(tmp_path, 3), EXPERIMENT)
    assert record.key == ("full", "RNN | copy", 3) and record.together == 1
    assert record.curves["train"]["iteration"] == [2, 4, 6]
    assert record.curves["validation"]["iteration"] == [3, 6]
    assert record.scores["test"]["bit_accuracy"] == pytest.approx(accuracy_of(tmp_path), abs=1e-6)
    assert record.parameters == RNN.parameters and record.extra == {"lines": 5.0}
    assert record.config["seed"] == 3 and record.iteration == 6 and record.seconds >= 0


def accuracy_of(tmp_path: Path) -> float:
    return RunDirectory(tmp_path / "run").read_json("evaluation.json")["results"]["test"]["scores"]["bit_accuracy"]


def test_seeds_at_once_are_those_one_by_one(tmp_path: Path) -> None:
    together = run(unit(tmp_path, 0, 1), EXPERIMENT)
    alone = [
        run(replace(each, directory=tmp_path / str(each.seeds[0])), EXPERIMENT)[0]
        for each in unit(tmp_path, 0, 1).single()
    ]
    assert [record.together for record in together] == [2, 2]
    for one, other in zip(together, alone, strict=True):
        assert one.scores["test"]["loss"] == pytest.approx(other.scores["test"]["loss"], rel=1e-3)


def test_a_finished_unit_is_not_trained_again(tmp_path: Path) -> None:
    (first,) = run(unit(tmp_path, 0), EXPERIMENT)
    (again,) = run(unit(tmp_path, 0), EXPERIMENT)
    assert first.seconds == again.seconds and first.curves == again.curves


def test_an_interrupted_unit_goes_on(tmp_path: Path) -> None:
    whole = run(replace(unit(tmp_path, 0), directory=tmp_path / "whole"), EXPERIMENT)[0]
    long = replace(RNN, config=copy_config("rnn", iterations=200_000))
    threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    assert run(unit(tmp_path, 0, trial=long), EXPERIMENT) == []
    directory = RunDirectory(tmp_path / "run")
    stopped_at = directory.measurements()[-1].iteration
    assert 0 < stopped_at < 200_000
    enough = replace(RNN, config=copy_config("rnn", iterations=6))
    with pytest.raises(OptionError, match="another configuration"):
        run(unit(tmp_path, 0, trial=enough), EXPERIMENT)
    assert run(unit(tmp_path, 0, trial=long), EXPERIMENT, seconds=1.0) == []  # goes on, and stops by the clock
    assert directory.measurements()[-1].iteration > stopped_at
    assert directory.measurements()[2].loss == pytest.approx(whole.curves["train"]["loss"][1], rel=1e-3)  # type: ignore[arg-type]


def test_missing_data_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TORCHMANN_CACHE", str(tmp_path / "cache"))
    lost = Trial("RNN", "bAbI", config("babi", ("rnn", {"hidden_size": 4}), ("adam", {}), iterations=2))
    units = [unit(tmp_path, 0, trial=lost), unit(tmp_path, 0)]
    found, lacking = ready(units)
    assert found == [units[1]]
    assert [(each.trial.column, type(error)) for each, error in lacking] == [("bAbI", DataError)]


def test_data_that_only_the_model_needs_is_missed_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_vectors(_: object) -> None:
        raise DataError("GloVe: not found")

    monkeypatch.setattr("torchmann.experiments.runner.training_of", without_vectors)
    found, lacking = ready([unit(tmp_path, 0), unit(tmp_path, 1, 2)])
    assert found == [] and [each.seeds for each, _ in lacking] == [(0,), (1, 2)]


def test_a_loss_that_is_not_finite_leaves_the_rest(tmp_path: Path) -> None:
    model = ("rnn", {"hidden_size": 4, "nonlinearity": "relu"})
    settings = {"iterations": 40, "batch_size": 2, "log_every": 5, "clip": "none"}
    wild = replace(RNN, config=config("sinusoid", model, ("adam", {"lr": 1e30}), **settings))
    units = [replace(unit(tmp_path, 0, trial=wild), directory=tmp_path / "wild"), unit(tmp_path, 0)]
    ended = list(run_all(units, EXPERIMENT, Budget(None)))
    assert isinstance(ended[0][1], FloatingPointError)
    assert isinstance(ended[1][1], list) and len(ended[1][1]) == 1


def test_no_budget_is_no_run(tmp_path: Path) -> None:
    assert list(run_all([unit(tmp_path, 0)], EXPERIMENT, Budget(1e-12))) == []
    assert Budget(None).left is None
