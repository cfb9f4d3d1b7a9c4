from __future__ import annotations

import re

import pytest

from torchmann import models, tasks
from torchmann.cli import main
from torchmann.engines.engine import ENGINES
from torchmann.interop.sources import SOURCES
from torchmann.training import OPTIMISERS


def printed(capsys: pytest.CaptureFixture[str], *line: str) -> list[str]:
    assert main([*line]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("models", models.names()),
        ("tasks", tasks.names()),
        ("optimisers", list(OPTIMISERS)),
        ("sources", list(SOURCES)),
    ],
)
def test_each_name_has_one_line(kind: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    title, *rows, end = printed(capsys, "list", kind)
    assert title.startswith(kind) and title.endswith(":") and end == ""
    assert [row.split()[0] for row in rows] == names and all(row.startswith("  ") for row in rows)


def test_what_the_lines_say(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(capsys, "list", "models", "tasks", "presets"))
    assert "28,112  Hochreiter 1997; Graves 2016" in text and "A controller with content look-up" in text
    assert re.search(r"  babi +tokens +question accuracy +Weston 2015 +Read a story", text)
    assert "vector 8 to 6" in text and "bits=8, min_length=8" in text
    assert "  dnc     uw              usage_floor=0.0" in text


def test_without_a_kind_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    titles = [line.split()[0].rstrip(",:") for line in printed(capsys, "list") if line and not line.startswith(" ")]
    assert titles == ["models", "tasks", "data", "optimisers", "sources", "presets"]


def test_an_unknown_kind_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tasks", "modles"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("torchmann: unknown kind 'modles': did you mean 'models'?") and not captured.out


@pytest.mark.usefixtures("uncompiled")
def test_engines_says_what_runs_and_why_not_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    machine, _, heads, *rows, _, chosen = printed(capsys, "engines")
    assert machine.startswith("torch 2.") and heads.split() == ["engine", "device", "training", "evaluation"]
    assert [row.split()[0] for row in rows] == [name for name in ENGINES for _ in ("cpu", "cuda")]
    assert re.split(" {2,}", rows[0]) == ["eager", "cpu", "lstm, dnc, sam, armin", "lstm, dnc, sam, armin"]
    assert chosen.removeprefix('engine="auto" takes: ') in ENGINES


@pytest.mark.usefixtures("uncompiled")
def test_an_engine_that_cannot_run_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the compiler\nis missing")

    monkeypatch.setitem(ENGINES, "broken", broken)
    row = next(row for row in printed(capsys, "engines") if row.startswith("broken"))
    assert re.split(" {2,}", row) == ["broken", "cpu", *["no: the compiler is missing"] * 2]
