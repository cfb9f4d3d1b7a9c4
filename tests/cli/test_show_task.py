from __future__ import annotations

import pytest

from torchmann.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_draws_and_tells(here, capsys):
    assert main(["show", "--task", "copy/dam", "--task.max_length", "9", "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "copy/dam: 10 channels in, 10 bits out; metric: bit accuracy"
    assert "picture: copy_dam_1.png" in lines and "picture: copy_dam_2.png" in lines
    assert sorted(path.name for path in here.iterdir()) == ["copy_dam_1.png", "copy_dam_2.png"]


def test_one_picture_where_it_is_wanted(here, capsys):
    line = "show --task=markov --count 1 --output seen/it.svg --split test --seed 3 --task.steps 5"
    assert main(line.split()) == 0
    assert (here / "seen/it.svg").is_file()
    assert "reads:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--task", "unknown task ''"),
        ("--task coppy", "did you mean 'copy'"),
        ("--task copy --task.bit 3", "unknown flag --task.bit: did you mean --task.bits"),
        ("--task copy --task.bits none", "--task.bits: expected int, got none"),
        ("--task copy --count 0", "count must be an integer of at least 1"),
        ("--task copy --split dev", "invalid choice: 'dev'"),
        ("--task copy --output it.txt", "--output it.txt: "),
    ],
)
def test_mistakes(line, message, here, capsys):
    assert main(["show", *line.split()]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "Traceback" not in error
    assert not list(here.iterdir())
