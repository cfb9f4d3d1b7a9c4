"""Sweeps: their points and directories, what their runs come to, and how they go on."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import re
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.training.test_progress import Terminal
from tests.training.tiny import tiny_config

from torchmann.core import DataError, OptionError
from torchmann.experiments.sweeps.progress import LiveRuns, sweep_progress
from torchmann.experiments.sweeps.results import markdown, rows_of, write_tables
from torchmann.experiments.sweeps.run import run_sweep
from torchmann.experiments.sweeps.sweep import Point, Sweep, require_distinct, train_or_resume
from torchmann.training import Config, RunDirectory, train_run


def point(lr: float = 0.01, **values: Any) -> Point:
    """A run of a fraction of a second; `values` are settings."""
    config = tiny_config("lstm", **values)
    config = replace(config, optimiser=replace(config.optimiser, options={"lr": lr}))
    return Point({"optimiser.lr": str(lr)}, config)


def sweep(path: Path, *points: Point, seeds: int = 2) -> Sweep:
    made = Sweep(path, points, seeds)
    made.save()
    return made


def train_all(made: Sweep) -> None:
    """What `run_sweep` does in other processes."""
    for run in made.runs():
        if not run.ended:
            train_run(run.config, run.path, stream=io.StringIO())


def measured(path: Path) -> list[tuple[Any, ...]]:
    """What was measured in a run, but for the time it took."""
    return [(m.split, m.iteration, m.loss, m.scores) for m in RunDirectory.open(path).measurements()]


def test_a_sweep_comes_back_from_its_file(tmp_path: Path) -> None:
    made = sweep(tmp_path / "sweep", point(0.01, anneal=("a=linear:1:0:3",)), point(0.1))
    opened = Sweep.open(tmp_path / "sweep")
    assert opened.to_dict() == made.to_dict()
    assert [run.config for run in opened.runs()] == [run.config for run in made.runs()]


def test_the_first_seed_of_every_point_comes_first(tmp_path: Path) -> None:
    made = Sweep(tmp_path, [point(0.01, seed=5), point(0.1, seed=5)], 2)
    assert [(run.config.settings.seed, run.point.name) for run in made.runs()] == [
        (5, "optimiser.lr=0.01"),
        (5, "optimiser.lr=0.1"),
        (6, "optimiser.lr=0.01"),
        (6, "optimiser.lr=0.1"),
    ]
    assert next(made.runs()).path == tmp_path / "runs" / "optimiser.lr=0.01" / "seed_5"


def test_every_point_has_a_directory_of_its_own_whatever_its_values() -> None:
    config = tiny_config("lstm")
    values = ["[1,2]", "[1-2]", "a/../b", "x" * 300, "x" * 301, "ü", "."]
    names = [Point({"task.tasks": value}, config).directory for value in values]
    assert len(set(names)) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9._=+,-]{1,140}", name) for name in names)


def test_values_and_seeds_can_be_added_to_a_sweep_but_not_changed(tmp_path: Path) -> None:
    sweep(tmp_path, point(0.01), seeds=1)
    sweep(tmp_path, point(0.01), point(0.1), seeds=2)
    before = (tmp_path / "sweep.yaml").read_bytes()
    for other in (
        Sweep(tmp_path, [point(0.01)], 2),
        Sweep(tmp_path, [point(0.01), point(0.1)], 1),
        Sweep(tmp_path, [point(0.01, batch_size=2), point(0.1)], 2),
    ):
        with pytest.raises(OptionError, match=r"holds another sweep .*: go on with it by --resume"):
            other.save()
    assert (tmp_path / "sweep.yaml").read_bytes() == before


def test_directories_that_hold_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(OptionError, match="is not empty and holds no sweep"):
        sweep(tmp_path, point())
    with pytest.raises(DataError, match="holds no sweep"):
        Sweep.open(tmp_path)
    (tmp_path / "sweep.yaml").write_text("points: 3")
    with pytest.raises(DataError, match=r"sweep\.yaml is not the configuration"):
        Sweep.open(tmp_path)


def test_points_are_built_before_anything_starts(tmp_path: Path) -> None:
    bad = point(0.1)
    bad = Point(
        {"model.hidden_size": "0"}, replace(bad.config, model=replace(bad.config.model, options={"hidden_size": 0}))
    )
    with pytest.raises(OptionError, match=r"at model\.hidden_size=0: hidden_size must be"):
        Sweep(tmp_path / "new", [point(0.01), bad], 1).check()
    assert not (tmp_path / "new").exists()


def test_one_run_under_two_names_is_refused() -> None:
    one = point(0.001)
    with pytest.raises(OptionError, match=r"the same run twice, as optimiser\.lr=0\.001 and as optimiser\.lr=1e-3"):
        require_distinct([one, point(0.01), Point({"optimiser.lr": "1e-3"}, one.config)])


def test_rows_are_sorted_by_held_out_sequences_and_count_what_is_there(tmp_path: Path) -> None:
    made = sweep(tmp_path, point(1e-5), point(0.05), point(0.3), seeds=2)
    for run in made.runs():
        if run.name not in ("optimiser.lr=0.05 seed=1", "optimiser.lr=0.3 seed=0", "optimiser.lr=0.3 seed=1"):
            train_run(run.config, run.path, stream=io.StringIO())
    rows = rows_of(made)
    assert {row.point.name: len(row.results) for row in rows} == {
        "optimiser.lr=1e-05": 2,
        "optimiser.lr=0.05": 1,
        "optimiser.lr=0.3": 0,
    }
    first, second, last = (row.held_out for row in rows)
    assert first is not None and second is not None and last is None
    assert first.mean >= second.mean
    for row in rows[:2]:
        finals = [measured(run.path)[-1] for run in made.runs_of(row.point) if run.ended]
        scores = [line[3]["bit_accuracy"] for line in finals if line[0] == "validation"]
        assert row.held_out is not None and row.held_out.n == len(scores) == len(finals)
        assert row.held_out.mean == pytest.approx(statistics.fmean(scores))
        assert row.held_out.sd == (pytest.approx(statistics.stdev(scores)) if len(scores) > 1 else None)


def test_with_patience_the_kept_weights_count(tmp_path: Path) -> None:
    made = sweep(tmp_path, point(0.5, iterations=40, patience=5), seeds=1)
    train_all(made)
    (row,) = rows_of(made)
    scores = [line[3]["bit_accuracy"] for line in measured(next(made.runs()).path) if line[0] == "validation"]
    assert row.held_out is not None and row.held_out.mean == max(scores) > min(scores)


def test_the_tables(tmp_path: Path) -> None:
    made = sweep(tmp_path, point(0.01, solved_at=0.0), point(0.1), seeds=2)
    train_all(made)
    rows = write_tables(made)
    text = (tmp_path / "table.md").read_text()
    head, rule, *lines = text.splitlines()
    assert text == markdown(rows, 2) and len({len(line) for line in (head, rule, *lines)}) == 1
    assert re.split(r" *\| *", head.strip("| ")) == [
        "lr",
        "bit accuracy, held out",
        "median",
        "best",
        "test",
        "runs",
        "time",
        "solved",
    ]
    solved = {re.split(r" *\| *", line.strip("| "))[0]: re.split(r" *\| *", line.strip("| "))[-1] for line in lines}
    assert solved == {"0.01": "2/2", "0.1": "0/2"}
    found = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["optimiser.lr"] for row in found] == [row.point.values["optimiser.lr"] for row in rows]
    for line, row in zip(found, rows, strict=True):
        assert row.held_out is not None and float(line["held_out_mean"]) == row.held_out.mean
        assert line["metric"] == "bit_accuracy" and line["runs"] == "2" and float(line["seconds"]) > 0


def test_a_run_that_came_to_nan_has_ended_and_is_counted(tmp_path: Path) -> None:
    made = sweep(tmp_path, point(0.01), wild(), seeds=1)
    good, bad = made.runs()
    train_run(good.config, good.path, stream=io.StringIO())
    with pytest.raises(FloatingPointError):
        train_run(bad.config, bad.path, stream=io.StringIO())
    assert bad.ended and bad.failed and good.ended and not good.failed
    rows = rows_of(made)
    assert [row.failed for row in rows] == [0, 1] and "0/1, 1 not finite" in markdown(rows, 1)


def wild() -> Point:
    """A point at which training comes to a number that is not finite."""
    config = tiny_config("rnn", optimiser="rmsprop", iterations=50, clip="none")
    return Point({"optimiser.lr": "1e38"}, replace(config, optimiser=replace(config.optimiser, options={"lr": 1e38})))


def test_training_goes_on_where_it_was(tmp_path: Path) -> None:
    config = tiny_config("lstm", iterations=6, checkpoint_every=2)
    assert train_or_resume(config, tmp_path / "whole")
    assert train_or_resume(replace(config, settings=replace(config.settings, iterations=4)), tmp_path / "run")
    RunDirectory(tmp_path / "run").save_config(config)
    assert train_or_resume(config, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["iteration"] == 6


def test_a_sweep_trains_what_its_runs_would_be_and_skips_what_has_ended(tmp_path: Path) -> None:
    made, stream = sweep(tmp_path / "sweep", point(0.01), wild(), seeds=1), io.StringIO()
    run_sweep(made, stream=stream)
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"1/2  optimiser\.lr=0\.01 seed=0: bit accuracy held out \d\.\d+, test \d\.\d+, 0:\d\d", lines[0]
    )
    assert re.match(r"2/2  optimiser\.lr=1e38 seed=0: training came to a number that is not finite", lines[1])
    run, _ = made.runs()
    solo = train_run(run.config, tmp_path / "solo", stream=io.StringIO()).directory
    assert measured(run.path) == measured(solo.path)
    assert "iteration 4/4" in run.log.read_text()
    run_sweep(made, stream=(again := io.StringIO()))
    assert again.getvalue() == ""


def test_a_terminal_gets_a_table_of_the_runs_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    made, stream = sweep(tmp_path, point(0.01), point(0.1), seeds=1), Terminal()
    runs = list(made.runs())
    with sweep_progress(runs, stream) as progress:
        assert isinstance(progress, LiveRuns)
        train_run(runs[0].config, runs[0].path, stream=io.StringIO())
        live = [list(column.cells) for column in progress.render().columns]
        assert live[0] == ["optimiser.lr=0.01 seed=0"] and live[1] == ["4/4"] and float(live[2][0]) > 0
        progress.show(runs[0], "the line of its end")
        assert not list(progress.render().columns[0].cells)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "1/2  the line of its end" in text and "1 of 2 runs ended" in text


@pytest.mark.slow
def test_a_killed_worker_loses_its_run_alone_and_the_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    long = {"iterations": 600, "checkpoint_every": 20, "evaluate_every": 100, "log_every": 20}
    made, stream = sweep(tmp_path / "sweep", point(0.01, **long), point(0.1), seeds=1), io.StringIO()
    first, second = made.runs()
    kill_when(first.path / "checkpoints")
    run_sweep(made, stream=stream)
    lost, ended = stream.getvalue().splitlines()
    assert lost.startswith(f"1/2  {first.name}: its process was killed by SIGKILL") and ended.startswith("2/2  ")
    assert not first.ended and second.ended and rows_of(made)[1].decides is None

    run_sweep(made, stream=(again := io.StringIO()))
    assert again.getvalue().startswith(f"1/1  {first.name}: bit accuracy held out")
    assert "going on with" in first.log.read_text()
    solo = train_run(first.config, tmp_path / "solo", stream=io.StringIO()).directory
    assert measured(first.path) == measured(solo.path)
    assert (first.path / "model.safetensors").read_bytes() == (solo.path / "model.safetensors").read_bytes()


def kill_when(folder: Path) -> None:
    """Kill the worker as soon as something lies in a folder."""

    def watch() -> None:
        while not list(folder.glob("*.safetensors")):
            time.sleep(0.01)
        (worker,) = multiprocessing.active_children()
        worker.kill()

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ray", "slurm"])
def test_a_sweep_on_every_backend(backend: str, tmp_path: Path) -> None:
    pytest.importorskip({"ray": "ray", "slurm": "submitit"}[backend])
    made, stream = sweep(tmp_path / "sweep", point(0.01), seeds=1), io.StringIO()
    run_sweep(made, backend, options={"cluster": "local"} if backend == "slurm" else None, stream=stream)
    (run,) = made.runs()
    assert run.ended, stream.getvalue()
    solo = train_run(run.config, tmp_path / "solo", stream=io.StringIO()).directory
    assert measured(run.path) == measured(solo.path)


def test_the_seed_is_all_that_differs_between_the_runs_of_a_point(tmp_path: Path) -> None:
    made = Sweep(tmp_path, [point(0.01, seed=3)], 3)
    configs: list[Config] = [run.config for run in made.runs_of(made.points[0])]
    assert [config.settings.seed for config in configs] == [3, 4, 5]
    assert {repr(replace(config, settings=replace(config.settings, seed=0))) for config in configs} == {
        repr(replace(configs[0], settings=replace(configs[0].settings, seed=0)))
    }
