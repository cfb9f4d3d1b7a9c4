"""``torchmann sweep``: from a command line to tables, what it refuses, and how it goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.cli.refusals import refuses

from torchmann.cli import main

TINY = (
    "--task copy --task.bits 2 --task.max_length 2 --model lstm --model.hidden_size 8 --batch_size 4 --iterations 4 "
    "--evaluate_every 2 --evaluation_batches 2 --evaluation_batch_size 5"
)


def sweep(*more: str) -> int:
    return main(["sweep", *TINY.split(), *more])


def points(path: Path) -> list[dict[str, str]]:
    return [point["values"] for point in yaml.safe_load((path / "sweep.yaml").read_text())["points"]]


def test_a_sweep_ends_with_a_table_and_goes_on_with_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "sweep"
    assert sweep("--grid", "optimiser.lr=1e-2", "--output", str(made)) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"1 points, 1 seeds each, 1 runs: {made}\n") and "\x1b" not in text
    assert (made / "table.md").read_text() in text and f"This table is in {made}/table.md" in text
    assert "The best is optimiser.lr=1e-2, in " in text
    run = made / "runs" / "optimiser.lr=1e-2" / "seed_0"
    assert yaml.safe_load((run / "config.yaml").read_text())["optimiser"]["lr"] == 1e-2
    assert main(["eval", str(run)]) == 0
    before = (run / "metrics.jsonl").read_bytes()

    assert sweep("--grid=optimiser.lr=1e-2,1e-1", "--output", str(made), "--workers", "2") == 0
    text = capsys.readouterr().out
    assert re.search(r"^1/1  optimiser\.lr=1e-1 seed=0: bit accuracy held out", text, re.MULTILINE)
    assert (run / "metrics.jsonl").read_bytes() == before, "what has ended is left as it is"
    assert main(["sweep", "--resume", str(made)]) == 0
    assert (made / "table.md").read_text() in capsys.readouterr().out


def test_the_points_of_a_dry_run_are_listed_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--grid=model=lstm,gru", "--grid", "task.bits=2,3", "--seeds", "3", "--dry-run"]
    assert sweep(*line, "--output", str(tmp_path / "new")) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"4 points, 3 seeds each, 12 runs: {tmp_path / 'new'}",
        "model=lstm task.bits=2",
        "model=lstm task.bits=3",
        "model=gru task.bits=2",
        "model=gru task.bits=3",
    ]
    assert not (tmp_path / "new").exists()


def test_random_points_follow_from_the_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def drawn(*more: str) -> list[str]:
        grid = ["--grid=model.hidden_size=log:4:64", "--grid=optimiser.lr=log:1e-4:1e-2", "--random=3"]
        assert sweep(*grid, "--dry-run", *more) == 0
        return capsys.readouterr().out.splitlines()[1:]

    assert drawn() == drawn("--seed=0") != drawn("--seed=1")
    config = tmp_path / "config.yaml"
    config.write_text("seed: 1\ntask: {name: copy}")
    assert drawn("--config", str(config)) == drawn("--seed=1")
    assert len(set(drawn())) == 3
    assert all(re.fullmatch(r"model\.hidden_size=\d+ optimiser\.lr=0\.\d+", line) for line in drawn())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "say what to try with --grid"),
        ("--grid model.hidden_size", "--grid is written FLAG=VALUE,VALUE, such as"),
        ("--grid", "argument --grid: expected one argument"),
        ("--grid model.hidden_size=8,many", "--model.hidden_size: expected int, got many"),
        ("--grid model.hidden_size=8,0", "at model.hidden_size=0: hidden_size must be"),
        ("--grid model.hiden_size=8", "unknown flag --model.hiden_size: did you mean --model.hidden_size?"),
        ("--grid batch_size=8,0", "batch_size must be an integer of at least 1, got 0"),
        ("--grid optimiser.lr=0.1,1e-1", "the same run twice, as optimiser.lr=0.1 and as optimiser.lr=1e-1"),
        ("--grid seeds=1,2", "the same run twice"),
        ("--grid task=copy,copi", "unknown task 'copi': did you mean 'copy'?"),
        ("--grid optimiser.lr=log:1e-4:1e-2", "is a range: say how many points to draw with --random N"),
        ("--grid batch_size=1,2 --random 3", "--random 3: there are only 2 points"),
        ("--grid batch_size=1,2 --random 0", "random must be an integer of at least 1, got 0"),
        ("--grid batch_size=1,2 --seeds 0", "seeds must be an integer of at least 1, got 0"),
        ("--grid batch_size=1,2 --workers 0", "workers must be an integer of at least 1, got 0"),
        ("--grid batch_size=1,2 --backend slrm", "--backend: expected one of 'local', 'ray', 'slurm', got slrm"),
        ("--grid batch_size=1,2 --job.mem_gb 3", "--backend local takes no options, got mem_gb"),
        ("--grid batch_size=1,2 --overwrite", "a sweep has no --overwrite"),
        ("--grid batch_size=1,2 --print-config", "a sweep has no --print-config"),
        ("--grid batch_size=1,2 --output full", "full is not empty and holds no sweep"),
        ("--grid batch_size=1,2 --output file", "cannot write"),
        ("--grid batch_size=1,2 --workrs 3", "unknown flag --workrs"),
        ("--resume none", "leave --task out"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    refuses(["sweep", *TINY.split(), *line.split()], message, tmp_path, capsys)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--resume none", "holds no sweep (no sweep.yaml)"),
        ("--resume . --grid a=1", "--resume goes on with a sweep as it was begun: leave --grid out"),
        ("--resume . --iterations 9", "leave --iterations out"),
        ("--grid batch_size=1,2", "name a task with --task"),
    ],
)
def test_a_bad_resumption(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refuses(["sweep", *line.split()], message, tmp_path, capsys)


def test_help_names_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["sweep", "--help"])
    text = capsys.readouterr().out
    assert ending.value.code == 0
    assert all(f"--{flag} " in text for flag in ("grid", "random", "workers", "backend", "job", "resume", "seeds"))


@pytest.mark.slow
def test_a_run_without_a_result_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = f"--optimiser rmsprop --iterations 50 --clip none --model rnn --grid optimiser.lr=1e38 --output {tmp_path}"
    assert sweep(*wild.split()) == 1
    text = capsys.readouterr().out
    assert "0/1, 1 not finite" in text and "1 of 1 runs came to a number that is not finite" in text


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_keeps_everything_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Ctrl-C reaches all processes of the group at once, as it does on a terminal."""
    made = tmp_path / "sweep"
    more = f"--iterations 1000000 --max_seconds 15 --grid optimiser.lr=1e-2,1e-3,1e-4 --output {made}"
    command = [sys.executable, "-m", "torchmann", "sweep", *TINY.split(), *more.split(), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    runs = [made / "runs" / f"optimiser.lr={lr}" / "seed_0" for lr in ("1e-2", "1e-3", "1e-4")]
    try:
        while not all((run / "metrics.jsonl").exists() for run in runs[:2]):
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        text, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130 and not errors
    assert text.count("stopped after its last checkpoint was written") == 2
    assert f"3 of 3 runs have not ended; go on with: torchmann sweep --resume {made}" in text
    assert all(list((run / "checkpoints").glob("*.safetensors")) for run in runs[:2]) and not runs[2].exists()

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3/3  " in done.stdout and points(made)[0] == {"optimiser.lr": "1e-2"}
    assert all("going on with" in run.with_suffix(".log").read_text() for run in runs[:2])
