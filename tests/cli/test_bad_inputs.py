"""Bad command lines and configuration files, each refused in one line; `bad_lines.txt` has the command lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.cli.refusals import content, refuses, train, workplace

TABLE = (Path(__file__).parent / "bad_lines.txt").read_text(encoding="utf-8").splitlines()
LINES = [row.split(" => ") for row in TABLE if row and not row.startswith("#")]

NOT_A_MAP = "must hold lines 'flag: value'"
CONFIGS = [
    ("", NOT_A_MAP),
    ("hello", NOT_A_MAP),
    ("- task", NOT_A_MAP),
    ("task: copy", NOT_A_MAP),
    ("task:", NOT_A_MAP),
    ("task: {name: copy}\nmodel: dnc", NOT_A_MAP),
    ("task: {name: copy}\noptimiser: [adam]", NOT_A_MAP),
    ("task: [", "config.yaml cannot be read: while parsing a flow node"),
    ("task: {name: copy}\n\tseed: 1", "config.yaml cannot be read: while scanning for the next token"),
    ("a: !!python/object/apply:os.system [echo]", "config.yaml cannot be read: could not determine a constructor"),
    ("seed: 1", "name a task with --task"),
    ("task: {bits: 3}", "name a task with --task"),
    ("task: {name: copi}", "unknown task 'copi': did you mean 'copy'?"),
    ("task: {name: [copy]}", "unknown task \"['copy']\""),
    ("task: {name: 3}", "unknown task '3'"),
    ("task: {name: copy, bitz: 3}", "unknown flag --task.bitz: did you mean --task.bits?"),
    ("task: {name: copy, bits: three}", "--task.bits: expected int, got three"),
    ("task: {name: copy, bits: 0}", "bits must be an integer of at least 1, got 0"),
    ("task: {name: copy}\nmodel: {name: dncc}", "unknown model 'dncc': did you mean 'dnc'?"),
    ("task: {name: copy}\nmodel: {name: null}", "unknown model 'None'"),
    ("task: {name: copy}\nmodel: {name: dnc, slotz: 3}", "unknown flag --model.slotz: did you mean --model.slots?"),
    ("task: {name: copy}\nmodel: {name: dnc, slots: [3]}", "--model.slots: expected int, got [3]"),
    ("task: {name: copy}\nmodel: {name: dnc, preset: papr}", "unknown preset of DNC 'papr': did you mean 'paper'?"),
    ("task: {name: copy}\noptimiser: {name: adm}", "unknown optimiser 'adm': did you mean 'adam'?"),
    ("task: {name: copy}\noptimiser: {name: adam, lr: fast}", "--optimiser.lr: expected float, got fast"),
    ("task: {name: copy}\nbatchsize: 3", "unknown flag --batchsize: did you mean --batch_size?"),
    ("task: {name: copy}\nbatch_size: 0", "batch_size must be an integer of at least 1, got 0"),
    ("task: {name: copy}\nbatch_size: null", "batch_size must be an integer of at least 1, got None"),
    ("task: {name: copy}\nclip: hard", "--clip: expected one of 'none', 'value', 'tensor', 'global', got hard"),
    ("task: {name: copy}\nanneal: 3", "--anneal: expected tuple, got 3"),
    ("task: {name: copy}\nanneal: [temperature]", "annealing is written NAME=SCHEDULE"),
    ("task: {name: copy}\nresume: run", "resume is a flag for the command line"),
    ("task: {name: copy}\noutput: full", "full is not empty and holds no run"),
    ("task: {name: copy}\nconfig: other.yaml", "--config: File does not exist"),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    assert train(folder / "run") == 0
    for name in ("empty", "full"):
        (folder / name).mkdir()
    for name in ("file", "full/thesis.tex"):
        (folder / name).write_text("years of work")
    (folder / "bytes").write_bytes(b"\xff\xfe\x00")
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return workplace(template, tmp_path, monkeypatch)


def test_there_are_more_than_two_hundred() -> None:
    assert len({line for line, _ in LINES}) == len(LINES)
    assert len(LINES) + len(CONFIGS) > 200


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_bad_command_lines(line: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "--device cuda" in line and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    refuses(line.split(), expected, folder, capsys)


@pytest.mark.parametrize(("text", "expected"), CONFIGS)
def test_bad_configuration_files(text: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.yaml").write_text(text)
    refuses(["train", "--config", "config.yaml"], expected, folder, capsys)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("trian", 2),
        ("train --task copi", 2),
        ("train --task copy --output full", 2),
        ("train --config bytes", 2),
        ("eval empty", 1),
        ("train --resume none", 1),
    ],
)
def test_the_program_itself(line: str, status: int, folder: Path) -> None:
    before = content(folder)
    done = subprocess.run(
        [sys.executable, "-m", "torchmann", *line.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == status and not done.stdout
    assert done.stderr.startswith("torchmann: ") and done.stderr.count("\n") == 1
    assert content(folder) == before
