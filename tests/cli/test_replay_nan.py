from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.training.tiny import tiny_config

from torchmann.cli import main
from torchmann.training import Case, Training, save_case
from torchmann.training.forensics import snapshot

BREAKING = (
    "train --task copy --task.bits 2 --task.max_length 2 --model rnn --model.hidden_size 8 --batch_size 4 --clip none "
    "--optimiser rmsprop --optimiser.lr 1e38 --iterations 50 --log_every 50 --evaluate_every 50"
)


def test_a_run_that_breaks_names_the_command_that_explains_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BREAKING.split(), "--output", str(tmp_path / "run")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    told = re.fullmatch(r"torchmann: .* at iteration (\d+): (.*); try .* torchmann (replay-nan \S+)", line)
    assert told is not None
    assert main(told[3].split()) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"iteration {told[1]}, 4 rows of up to ") and shown[1] == f"{told[2]}."


def test_an_iteration_in_which_nothing_is_wrong_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config("lstm")
    task = config.build_task()
    model = config.build_model(task)
    training = Training(model, task, config.build_optimiser(model), config.settings)
    save_case(tmp_path / "case", Case(snapshot(training), training.drawn(0)[1], None), config)
    assert main(["replay-nan", str(tmp_path / "case")]) == 1
    assert "Everything is finite on this machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("replay-nan", 2, "the following arguments are required: file"),
        ("replay-nan {}/none", 1, "none cannot be read: No such file or directory"),
        ("replay-nan {}", 1, "cannot be read: Is a directory"),
        ("replay-nan --devise cpu {}/none", 2, "unknown flag --devise: did you mean --device?"),
        ("replay-man {}", 2, "unknown command 'replay-man': did you mean 'replay-nan'"),
    ],
)
def test_mistakes_are_one_line(
    line: str, status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.format(tmp_path).split()) == status
    (text,) = capsys.readouterr().err.splitlines()
    assert text.startswith("torchmann: ") and message in text
