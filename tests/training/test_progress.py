from __future__ import annotations

import io
import re

import pytest
from tests.training.tiny import tiny_config

from torchmann.training import Config, Training
from torchmann.training.progress import LiveLine, PlainLines, clock, progress_of, seconds_left


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def follow(config: Config, stream: io.StringIO) -> tuple[Training, str]:
    task = config.build_task()
    model = config.build_model(task)
    training = Training(model, task, config.build_optimiser(model), config.settings)
    with progress_of(training, stream) as progress:
        for measurement in training:
            progress.show(measurement)
    return training, stream.getvalue()


def test_a_file_gets_plain_lines_now_and_then() -> None:
    _, text = follow(tiny_config(iterations=6), io.StringIO())
    lines = text.splitlines()
    assert len(lines) == 2, "one at the start, one at the end: the run takes no ten seconds"
    assert re.fullmatch(r"iteration 1/6  \S+ it/s  loss \S+  bit accuracy \S+%  0:\d\d left", lines[0])
    assert re.fullmatch(r"iteration 6/6  \S+ it/s  loss \S+  bit accuracy \S+%  held out \S+%", lines[1])
    assert "\x1b" not in text


def test_a_terminal_gets_one_line_with_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    _, text = follow(tiny_config(iterations=6), Terminal())
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"━+  6/6  \S+ it/s  loss \S+  bit accuracy \S+%  held out \S+%", plain)
    assert plain.count("\n") == 1


def test_a_narrow_terminal_still_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    _, text = follow(tiny_config(iterations=6), Terminal())
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert plain.count("\n") == 1 and all(len(line) <= 30 for line in re.split(r"[\r\n]", plain))


def test_the_stream_decides() -> None:
    config = tiny_config()
    task = config.build_task()
    model = config.build_model(task)
    training = Training(model, task, config.build_optimiser(model), config.settings)
    assert isinstance(progress_of(training, io.StringIO()), PlainLines)
    assert isinstance(progress_of(training, Terminal()), LiveLine)
    assert seconds_left(training) is None


def test_time_left_respects_the_time_limit() -> None:
    training, _ = follow(tiny_config(iterations=10**6, evaluate_every=10**6, max_seconds=0.3), io.StringIO())
    left = seconds_left(training)
    assert left is not None and left == 0.0


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 61.4, 3599.6, 7325)] == ["0:00", "1:01", "1:00:00", "2:02:05"]
