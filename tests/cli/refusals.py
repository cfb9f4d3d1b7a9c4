"""What every bad input meets with: one line on standard error, a status that is not 0, and no change on the disk."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from torchmann.cli import main

TINY = (
    "--task copy --task.bits 2 --task.max_length 2 --model.hidden_size 8 --batch_size 4 --iterations 4 "
    "--checkpoint_every 2 --evaluate_every 2 --evaluation_batches 2 --evaluation_batch_size 5"
)


def train(run: Path, *more: str, model: str = "lstm") -> int:
    """A run of four iterations, with checkpoints after the second and the fourth."""
    return main(["train", *TINY.split(), "--model", model, "--output", str(run), *more])


def refuses(line: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command line in `folder`; its message must have `expected` in it."""
    before = content(folder)
    capsys.readouterr()
    with within(30):
        status = main(line)
    complaint = capsys.readouterr().err
    assert status in (1, 2), "a command that fails says so"
    assert complaint.startswith("torchmann: ") and complaint.endswith("\n") and complaint.count("\n") == 1, complaint
    assert expected in complaint
    assert "Traceback" not in complaint
    assert content(folder) == before, "a command that fails changes nothing"


def content(folder: Path) -> dict[Path, bytes | None]:
    """All that is in a folder: files with their bytes, folders with None."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Within this context a command that does not see the mistake, and begins to train, is stopped."""

    def stop(*_: object) -> None:
        raise AssertionError("the command was not refused, but went to work")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def workplace(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `template` in `folder`, which becomes the working directory."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    return folder
