"""Runs of several seeds: their directories, summary, progress, and how they go on."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.test_progress import Terminal
from tests.training.tiny import tiny_config

from torchmann.cli import main
from torchmann.core import DataError, OptionError
from torchmann.training import (
    Config,
    EnsembleDirectory,
    EnsembleOutcome,
    Measurement,
    RunDirectory,
    load_run,
    resume_ensemble,
    resume_run,
    train_ensemble,
    train_run,
)
from torchmann.training.ensemble_summary import Spread, spreads


def config(**settings: Any) -> Config:
    sizes = {"iterations": 7, "log_every": 2, "evaluate_every": 3, "checkpoint_every": 2, "optimiser": "rmsprop"}
    return tiny_config("lstm", **{**sizes, **settings})


def train(path: Path, seeds: int = 2, **settings: Any) -> EnsembleOutcome:
    return train_ensemble(config(**settings), seeds, path, stream=io.StringIO())


def lines(path: Path) -> list[tuple[Any, ...]]:
    """What was measured in a run, but for the time it took."""
    return [(m.split, m.iteration, m.loss, m.scores) for m in RunDirectory.open(path).measurements()]


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def test_each_member_leaves_what_its_solo_run_would(tmp_path: Path) -> None:
    train(tmp_path / "all", seed=5)
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "ensemble.yaml",
        "seed_5",
        "seed_6",
        "summary.json",
    ]
    for seed in (5, 6):
        solo = train_run(config(seed=seed), tmp_path / f"solo{seed}", stream=io.StringIO()).directory
        mine = RunDirectory.open(tmp_path / "all" / f"seed_{seed}")
        assert mine.config() == solo.config()
        assert {p.name for p in mine.path.iterdir()} == {p.name for p in solo.path.iterdir()}
        for one, other in zip(lines(mine.path), lines(solo.path), strict=True):
            assert one[:2] == other[:2] and one[2] == pytest.approx(other[2], rel=1e-4)
        found, expected = (json.loads((path / "evaluation.json").read_text()) for path in (mine.path, solo.path))
        assert found["results"]["test"]["loss"] == pytest.approx(expected["results"]["test"]["loss"], rel=1e-4)
        load_run(mine)


def test_a_member_can_go_on_by_itself(tmp_path: Path) -> None:
    train(tmp_path / "all")
    outcome = resume_run(tmp_path / "all" / "seed_1", iterations=9, stream=io.StringIO())
    assert outcome.iteration == 9 and outcome.evaluation is not None


def test_the_summary_is_that_of_the_members(tmp_path: Path) -> None:
    outcome = train(tmp_path / "all", 3, solved_at=0.55)
    stored = json.loads((tmp_path / "all" / "summary.json").read_text())
    ends = [json.loads((tmp_path / "all" / f"seed_{s}" / "evaluation.json").read_text()) for s in range(3)]
    assert stored["success_rate"] == sum(end["stopped"] == "solved" for end in ends) / 3 == outcome.summary.success_rate
    assert [member["stopped"] for member in stored["members"]] == [end["stopped"] for end in ends]
    scores = [end["results"]["length 4"]["scores"] for end in ends]
    accuracies = [score["bit_accuracy"] for score in scores]
    found = stored["results"]["length 4"]["bit_accuracy"]
    assert found["mean"] == pytest.approx(sum(accuracies) / 3) and found["n"] == 3
    assert found["sd"] == pytest.approx(statistics.stdev(accuracies))
    assert found["median"] == sorted(accuracies)[1] and found["best"] == max(accuracies)


def test_the_best_is_the_member_that_is_best_by_the_metric() -> None:
    scores = [{"loss": 1.0, "right": 0.5}, {"loss": 2.0, "right": 0.9}, {"loss": 0.1}]
    found = spreads(scores, "right")
    assert found["loss"] == Spread(pytest.approx(3.1 / 3), pytest.approx(statistics.stdev([1, 2, 0.1])), 1.0, 2.0, 3)
    assert found["right"] == Spread(0.7, pytest.approx(statistics.stdev([0.5, 0.9])), 0.7, 0.9, 2)
    assert spreads(scores[:1], "right")["loss"] == Spread(1.0, None, 1.0, 1.0, 1)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, iteration: int) -> None:
    """Send this process Ctrl-C while the first member's measurement of that iteration is recorded."""
    record = RunDirectory.record

    def interrupting(self: RunDirectory, measurement: Measurement) -> None:
        record(self, measurement)
        if (measurement.split, measurement.iteration, self.path.name) == ("train", iteration, "seed_0"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunDirectory, "record", interrupting)


def require_same(one: Path, other: Path, seeds: int = 2) -> None:
    """Bit for bit."""
    for seed in range(seeds):
        mine, theirs = one / f"seed_{seed}", other / f"seed_{seed}"
        assert lines(mine) == lines(theirs) and weights(mine) == weights(theirs)


def test_what_was_interrupted_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path / "whole", curriculum="length=loss:1:0.7")
    with monkeypatch.context() as patched:
        interrupt_at(patched, 4)
        stopped = train(tmp_path / "two", curriculum="length=loss:1:0.7")
    assert stopped.summary is None and stopped.iteration < 7 and not (tmp_path / "two" / "summary.json").exists()
    outcome = resume_ensemble(tmp_path / "two", stream=io.StringIO())
    assert outcome.iteration == 7 and outcome.summary is not None
    require_same(tmp_path / "whole", tmp_path / "two")


def test_killed_between_the_checkpoints_of_two_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is ahead goes back, so that the members are together again."""
    train(tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt_at(patched, 4)
        train(tmp_path / "two")
    checkpoints = RunDirectory.open(tmp_path / "two" / "seed_1").checkpoints
    checkpoints.path(checkpoints.iterations()[-1]).unlink()
    resume_ensemble(tmp_path / "two", stream=io.StringIO())
    require_same(tmp_path / "whole", tmp_path / "two")


def test_killed_before_anything_was_trained(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    EnsembleDirectory.create(tmp_path / "two", config(), 2)
    (tmp_path / "two" / "seed_1" / "config.yaml").unlink()
    for folder in ("pictures", "checkpoints"):
        (tmp_path / "two" / "seed_1" / folder).rmdir()
    (tmp_path / "two" / "seed_1" / "versions.json").unlink()
    resume_ensemble(tmp_path / "two", stream=io.StringIO())
    require_same(tmp_path / "whole", tmp_path / "two")


def test_killed_in_the_final_evaluation(tmp_path: Path) -> None:
    train(tmp_path / "all")
    (tmp_path / "all" / "seed_1" / "evaluation.json").unlink()
    (tmp_path / "all" / "summary.json").unlink()
    outcome = resume_ensemble(tmp_path / "all", stream=io.StringIO())
    assert outcome.summary is not None and outcome.summary.results["test"]["loss"].n == 2


def test_members_that_are_solved_stay_as_they_are_when_the_others_go_further(tmp_path: Path) -> None:
    train(tmp_path / "whole", 3, solved_at=0.6, iterations=9)
    train(tmp_path / "two", 3, solved_at=0.6)
    solved = [m for m in resume_ensemble(tmp_path / "two", iterations=9, stream=io.StringIO()).summary.members]
    assert {m.stopped for m in solved} == {"solved", "iterations"}
    for seed in range(3):
        mine, theirs = (tmp_path / run / f"seed_{seed}" for run in ("two", "whole"))
        if lines(mine)[-1][1] < 7:
            assert lines(mine) == lines(theirs) and weights(mine) == weights(theirs)
        else:
            assert lines(mine)[-1][1] == 9
    assert EnsembleDirectory.open(tmp_path / "two").config.settings.iterations == 9


def test_a_member_that_is_not_finite_leaves_its_case_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchmann.training import ensemble_run, run

    def spoilt(of_member: Config) -> Any:
        member = run.training_of(of_member)
        if of_member.settings.seed == 1:
            with torch.no_grad():
                member.parameters[0][0, 0] = float("inf")
        return member

    monkeypatch.setattr(ensemble_run, "training_of", spoilt)
    run_ = tmp_path / "all"
    line = "train --task copy --task.bits 2 --task.max_length 2 --model lstm --model.hidden_size 8 --batch_size 4"
    more = "--iterations 4 --evaluation_batches 1 --evaluation_batch_size 5 --seeds 3 --output"
    assert main([*line.split(), *more.split(), str(run_)]) == 1
    text = capsys.readouterr().out
    assert re.search(
        r"seed 1: training came to a number that is not finite .*torchmann replay-nan \S+seed_1/not-finite", text
    )
    stored = json.loads((run_ / "summary.json").read_text())
    assert [member["stopped"] for member in stored["members"]] == ["iterations", "not finite", "iterations"]
    assert stored["results"]["test"]["loss"]["n"] == 2
    assert re.search(r"\n1 +\d +- +- +not finite\n", text)


def test_a_terminal_gets_a_table_of_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    train_ensemble(config(solved_at=0.6), 3, tmp_path / "all", stream=terminal)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert re.search(r"seed +iteration +loss +bit accuracy +held out +best", plain)
    for seed in range(3):
        assert re.search(rf"\n *{seed} +\d +0\.\d+ +(\S+%|-) +\S+% +\S+% +(solved|iterations)", plain)
    assert re.search(r"median +\S+ +\S+% +\S+% +\S+% +solved \d/3 \(\d+%\)", plain)


def test_a_file_gets_plain_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    train_ensemble(config(log_every=1), 2, tmp_path / "all", stream=stream)
    first, *_, last = stream.getvalue().splitlines()
    assert first.startswith("training 2 seeds of lstm (")
    assert re.fullmatch(r"iteration 7/7  \S+ it/s  median loss \S+  bit accuracy \S+%  held out \S+%", last)


def test_overwriting_replaces_an_ensemble_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "all"
    train(path, 3)
    with pytest.raises(OptionError, match="holds an ensemble: pass --overwrite"):
        train(path)
    train_ensemble(config(iterations=3), 2, path, overwrite=True, stream=io.StringIO())
    assert sorted(folder.name for folder in path.glob("seed_*")) == ["seed_0", "seed_1"]
    assert lines(path / "seed_0")[-1][1] == 3
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="not empty and holds no ensemble"):
        train_ensemble(config(), 2, tmp_path / "full", overwrite=True, stream=io.StringIO())


def test_what_cannot_go_on_says_so(tmp_path: Path) -> None:
    train(tmp_path / "all")
    with pytest.raises(OptionError, match="has ended after 7 iterations"):
        resume_ensemble(tmp_path / "all", stream=io.StringIO())
    with pytest.raises(OptionError, match="trained with 2 seeds, not 5: leave --seeds out"):
        resume_ensemble(tmp_path / "all", seeds=5, stream=io.StringIO())
    with pytest.raises(DataError, match="holds several runs: give one of them"):
        RunDirectory.open(tmp_path / "all")
    with pytest.raises(DataError, match="holds no ensemble"):
        EnsembleDirectory.open(tmp_path)
    taken = EnsembleDirectory.open(tmp_path / "all").in_use()
    with taken, pytest.raises(OptionError, match="being trained by another process"):
        resume_ensemble(tmp_path / "all", iterations=9, stream=io.StringIO())
    file = tmp_path / "all" / "ensemble.yaml"
    file.write_text(file.read_text().replace("seeds: 2", "seeds: none"))
    with pytest.raises(DataError, match=r"ensemble.yaml is not the configuration of a run: seeds is 'none'"):
        resume_ensemble(tmp_path / "all", stream=io.StringIO())


def test_mistakes_are_found_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="seeds must be an integer of at least 1, got 0"):
        train(tmp_path / "all", 0)
    with pytest.raises(OptionError, match="truncate cuts the sequences of one seed at a time"):
        train(tmp_path / "all", truncate=2)
    with pytest.raises(OptionError, match="unknown optimiser 'adamm'"):
        train_ensemble(replace(config(), optimiser=replace(config().optimiser, name="adamm")), 2, tmp_path / "all")
    assert not (tmp_path / "all").exists()


TINY = (
    "--task copy --task.bits 2 --task.max_length 2 --model lstm --model.hidden_size 8 --batch_size 4 --iterations 4 "
    "--evaluate_every 2 --evaluation_batches 2 --evaluation_batch_size 5 --solved_at 0.99"
)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "all"
    assert main(["train", *TINY.split(), "--seeds", "2", "--output", str(run)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"test +mean +sd +median +best +n\n", text) and "Success rate: 0%, of 2 seeds." in text
    assert re.search(r"\n1 +4 +\d\.\d+ +\d\.\d+ +done\n", text)
    assert main(["eval", str(run / "seed_1")]) == 0
    assert main(["train", "--resume", str(run), "--iterations", "6"]) == 0
    assert "going on with" in capsys.readouterr().out
    for line, message in (
        (["train", "--resume", str(run), "--seeds", "3"], "was trained with 2 seeds, not 3"),
        (["train", "--resume", str(run / "seed_0"), "--seeds", "3"], "holds one run, not 3 seeds: leave --seeds out"),
        (["train", *TINY.split(), "--seeds", "0"], "seeds must be an integer of at least 1, got 0"),
    ):
        assert main(line) == 2 and message in capsys.readouterr().err
    assert main(["eval", str(run)]) == 1 and "holds several runs" in capsys.readouterr().err


def test_the_configuration_of_an_ensemble_makes_it_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY.split(), "--seeds", "2", "--output", str(tmp_path / "one")]) == 0
    file = tmp_path / "one" / "ensemble.yaml"
    assert main(["train", "--config", str(file), "--output", str(tmp_path / "two")]) == 0
    require_same(tmp_path / "one", tmp_path / "two")
    capsys.readouterr()
    assert main(["train", "--config", str(file), "--print-config"]) == 0
    assert capsys.readouterr().out == file.read_text()
