from __future__ import annotations

import io
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny import tiny_config

from torchmann.core import OptionError
from torchmann.training import Measurement, RunDirectory, load_run, train_run


def lines(directory: RunDirectory) -> list[tuple[Any, ...]]:
    """What was measured, but for the time it took."""
    return [(m.split, m.iteration, m.loss, m.scores) for m in directory.measurements()]


def test_a_run_leaves_everything_behind(tmp_path: Path) -> None:
    outcome = train_run(tiny_config(), tmp_path / "run", stream=io.StringIO())
    files = {path.name for path in outcome.directory.path.iterdir()}
    written = {"config.yaml", "versions.json", "metrics.jsonl", "model.safetensors", "evaluation.json"}
    expected = written | {"checkpoints", "pictures"}
    assert files == expected
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["stopped"] == "iterations" and evaluation["iteration"] == 4
    assert list(evaluation["results"]) == ["test", "length 4", "length 8"]
    assert evaluation["results"]["test"]["scores"]["bit_accuracy"] == outcome.evaluation["test"].scores["bit_accuracy"]


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop", "graves"])
def test_a_run_repeats_exactly_from_its_own_configuration(tmp_path: Path, optimiser: str) -> None:
    first = train_run(tiny_config(optimiser=optimiser), tmp_path / "one", stream=io.StringIO())
    second = train_run(first.directory.config(), tmp_path / "two", stream=io.StringIO())
    assert lines(first.directory) == lines(second.directory)
    weights = [(outcome.directory.path / "model.safetensors").read_bytes() for outcome in (first, second)]
    assert weights[0] == weights[1]


def test_a_loaded_run_computes_what_the_trained_one_did(tmp_path: Path) -> None:
    outcome = train_run(tiny_config("ntm"), tmp_path / "run", stream=io.StringIO())
    config, task, model = load_run(RunDirectory.open(tmp_path / "run"))
    batches = [task.batch(index, 5, seed=0, split="test") for index in range(2)]
    with torch.no_grad():
        scores = [
            task.scores(model(batch.inputs, lengths=batch.lengths, decode_from=batch.first_answer_step)[0], batch)[
                "bit_accuracy"
            ]
            for batch in batches
        ]
    mean = sum(score.total for score in scores) / sum(score.weight for score in scores)
    assert mean.item() == pytest.approx(outcome.evaluation["test"].scores["bit_accuracy"])


def interrupt_at(monkeypatch: pytest.MonkeyPatch, iteration: int, times: int = 1) -> None:
    """Send this process Ctrl-C while that iteration is recorded."""
    record = RunDirectory.record

    def interrupting(self: RunDirectory, measurement: Measurement) -> None:
        record(self, measurement)
        if (measurement.split, measurement.iteration) == ("train", iteration):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunDirectory, "record", interrupting)


def test_ctrl_c_ends_the_run_with_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 3)
    before = signal.getsignal(signal.SIGINT)
    outcome = train_run(tiny_config(iterations=1000, evaluate_every=1000), tmp_path / "run", stream=io.StringIO())
    assert outcome.stopped == "interrupted" and outcome.iteration == 4 and outcome.evaluation is None
    assert signal.getsignal(signal.SIGINT) is before
    load_run(RunDirectory.open(tmp_path / "run"))
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_second_ctrl_c_is_immediate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 3, times=2)
    with pytest.raises(KeyboardInterrupt):
        train_run(tiny_config(iterations=1000), tmp_path / "run", stream=io.StringIO())


def test_a_run_may_go_on_in_another_thread(tmp_path: Path) -> None:
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(train_run(tiny_config("lstm"), tmp_path / "run", stream=io.StringIO()))
    )
    thread.start()
    thread.join()
    assert outcomes[0].stopped == "iterations"


def test_what_is_wrong_is_found_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown model 'dncc'"):
        train_run(tiny_config("dncc"), tmp_path / "run", stream=io.StringIO())
    with pytest.raises(OptionError, match="unknown optimiser 'adamm'"):
        train_run(tiny_config(optimiser="adamm"), tmp_path / "run", stream=io.StringIO())
    assert not (tmp_path / "run").exists()


def test_a_solved_run_says_so(tmp_path: Path) -> None:
    outcome = train_run(tiny_config(solved_at=0.0, iterations=100), tmp_path / "run", stream=io.StringIO())
    assert outcome.stopped == "solved" and outcome.iteration == 2
