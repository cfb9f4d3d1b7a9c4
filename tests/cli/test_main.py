from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import torchmann
from torchmann.cli import main
from torchmann.training import Measurement, RunDirectory, load_run

TINY = (
    "--task copy --task.bits 2 --task.max_length 2 --model {model} --model.hidden_size 8 --batch_size 4 --iterations 4 "
    "--evaluate_every 2 --evaluation_batches 2 --evaluation_batch_size 5"
)


def train(path: Path, *more: str, model: str = "dnc") -> int:
    slots = ["--model.slots", "4", "--model.width", "4"] if model in ("dnc", "ntm") else []
    return main(["train", *TINY.format(model=model).split(), *slots, "--output", str(path), *more])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("model", ["dnc", "ntm", "lstm"])
def test_train_eval_show(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(run, model=model) == 0
    trained = capsys.readouterr().out
    assert "iteration 4/4" in trained and "\x1b" not in trained
    assert "Done after 4 iterations" in trained and f"torchmann show {run}" in trained
    result = json.loads((run / "evaluation.json").read_text())["results"]["test"]
    accuracy, (low, high) = result["scores"]["bit_accuracy"], result["intervals"]["bit_accuracy"]

    assert main(["eval", str(run)]) == 0
    table = capsys.readouterr().out
    assert re.split(" {2,}", table.splitlines()[0].strip()) == ["test", "length 4", "length 8"]
    assert re.search(
        rf"^bit accuracy +{accuracy:.4f} .*\n  95% interval +\[{low:.4f}, {high:.4f}\] ", table, flags=re.MULTILINE
    )
    assert table.rstrip() in trained, "the run printed the same table"

    assert main(["show", str(run)]) == 0
    named = re.findall(r"^  (\S+\.(?:png|html))", capsys.readouterr().out, flags=re.MULTILINE)
    pictures = ["sample.png", "longer.png", "length_curve.png", "learning_curve.png"]
    assert [Path(name).name for name in named] == ["microscope.html", *pictures]
    assert all(Path(name).stat().st_size > 5000 for name in named)


def test_a_run_repeats_from_its_configuration_file(tmp_path: Path) -> None:
    assert train(tmp_path / "one") == 0
    assert main(["train", "--config", str(tmp_path / "one" / "config.yaml"), "--output", str(tmp_path / "two")]) == 0
    for file in ("config.yaml", "model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_weights_of_a_run_are_a_model_as_a_file(tmp_path: Path) -> None:
    assert train(tmp_path) == 0
    model, (_, task, expected) = torchmann.load(tmp_path / "model.safetensors"), load_run(RunDirectory.open(tmp_path))
    inputs = task.batch(0, 3, seed=0).inputs
    assert torch.equal(model(inputs)[0], expected(inputs)[0])


def test_a_run_without_a_name_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *TINY.format(model="lstm").split()]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("copy-lstm-") and f"runs/{run.name}" in capsys.readouterr().out


def test_an_existing_run_is_refused_and_replaced_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", model="lstm") == 0
    capsys.readouterr()
    assert train(tmp_path / "run", model="lstm") == 2
    assert "holds a run: pass --overwrite" in complaint(capsys)
    assert train(tmp_path / "run", "--overwrite", model="lstm") == 0


def test_an_unwritable_directory_is_found_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file" / "run") == 1
    assert re.fullmatch(r"torchmann: cannot write .*: Not a directory\.", complaint(capsys))


def test_ctrl_c_saves_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = RunDirectory.record

    def interrupting(self: RunDirectory, measurement: Measurement) -> None:
        record(self, measurement)
        if measurement.iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunDirectory, "record", interrupting)
    assert train(tmp_path / "run", "--log_every=1", "--evaluate_every=100", "--iterations=100") == 130
    assert "Stopped after 2 iterations" in (text := capsys.readouterr().out) and "weights" in text
    monkeypatch.undo()
    assert main(["eval", str(tmp_path / "run")]) == 0


def test_a_loss_that_is_not_finite_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [
        "--optimiser=rmsprop",
        "--optimiser.lr=1e38",
        "--iterations=50",
        "--log_every=50",
        "--evaluate_every=50",
        "--clip=none",
    ]
    assert train(tmp_path / "run", *line, model="rnn") == 1
    assert re.match(
        r"torchmann: training came to a number that is not finite at iteration \d+: .*torchmann replay-nan ",
        complaint(capsys),
    )


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("trian", 2, "unknown command 'trian': did you mean 'train'"),
        ("train --task copi", 2, "unknown task 'copi': did you mean 'copy'"),
        ("train --task copy --device tpu", 2, "--device: expected"),
        ("eval", 2, "the following arguments are required: run"),
        ("eval {}/none", 1, "holds no run"),
        ("show {}/none", 1, "holds no run"),
        ("demo --sed 1", 2, "unknown flag --sed: did you mean --seed?"),
        ("demo --max_seconds 0", 2, "max_seconds must be above 0"),
        ("train --task babi --task.data {}/none", 1, "does not exist"),
    ],
)
def test_mistakes_are_one_line(
    line: str, status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.format(tmp_path).split()) == status
    text = complaint(capsys)
    assert text.startswith("torchmann: ") and message in text


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"torchmann {torchmann.__version__}\n"
    for line in ([], ["--help"]):
        assert main(line) == 0
        text = capsys.readouterr().out
        assert all(f"\n  {command} " in text for command in ("train", "eval RUN", "show RUN", "demo"))
    for command in ("train", "eval", "show", "demo"):
        with pytest.raises(SystemExit) as ending:
            main([command, "--help"])
        assert ending.value.code == 0 and f"usage: torchmann {command}" in capsys.readouterr().out


def test_a_demo_that_does_not_reach_its_goal_fails_and_still_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo"), "--max_seconds", "0.2"]) == 1
    text = capsys.readouterr().out
    assert "Not reached" in text and "length 12" in text and "length 24" in text
    assert (tmp_path / "demo" / "pictures" / "sample.png").exists()


def test_the_command_runs_as_a_program() -> None:
    program = [sys.executable, "-c", "import sys; from torchmann.cli import main; sys.exit(main())"]
    done = subprocess.run([*program, "train", "--task", "cpoy"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("torchmann: unknown task 'cpoy'") and "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demo_reaches_its_goal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo")]) == 0
    assert "Reached" in capsys.readouterr().out
