"""Everything that is declared runs: one trial of each model on each task here, and all of them in the slow test."""

import json
from pathlib import Path

import pytest

from torchmann.cli.main import main
from torchmann.core.errors import DataError
from torchmann.experiments import catalogue
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.results import Results
from torchmann.experiments.runner import Unit, run

EXPERIMENTS = [catalogue.find(name) for name in catalogue.names()]


def kinds() -> dict[str, tuple[Experiment, Trial]]:
    """The first trial of each model on each task."""
    found: dict[str, tuple[Experiment, Trial]] = {}
    for experiment in EXPERIMENTS:
        for trial in experiment.runnable:
            assert trial.config is not None
            kind = f"{trial.config.model.name} {trial.config.task.name}"
            found.setdefault(kind, (experiment, trial))
    return found


KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_of_each_kind_comes_to_a_record(kind: str, tmp_path: Path) -> None:
    experiment, trial = KINDS[kind]
    try:
        (record,) = run(Unit(experiment.name, trial, "smoke", (0,), tmp_path / "run"), experiment)
    except DataError as error:
        pytest.skip(str(error))
    assert record.iteration == 2 and record.stopped == "iterations"
    assert record.curves["train"]["iteration"] == [1, 2] and None not in record.curves["train"]["loss"]
    results = Results(tmp_path / "results")
    results.add(record)
    (stored,) = Results(tmp_path / "results").of(trial, "smoke")
    assert stored.to_line() == record.to_line()
    measure = experiment.measure_of(trial)
    assert measure.show(measure.of(record))


@pytest.mark.slow
def test_all_of_it_runs_by_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "runs"
    assert main(["reproduce", "--all", "--scale", "smoke", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    results = Results(output / "results")
    for experiment in EXPERIMENTS:
        for trial in experiment.runnable:
            left_out = f"{experiment.name}: {trial.key}, seed 0 is left out"
            assert results.of(trial, "smoke") or left_out in printed, trial.key
        assert (output / experiment.name / "smoke/report.html").stat().st_size > 1000
    lines = [json.loads(line) for path in (output / "results").glob("*/*.jsonl") for line in path.open()]
    assert {line["iteration"] for line in lines} == {2}
