"""``torchmann train`` without training: ``--print-config`` and ``--dry-run``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from torchmann import models
from torchmann.cli import main
from torchmann.cli.train_flags import parse_train
from torchmann.training import Config

RUN = "train --task copy --task.min_length 6 --model dnc --solved_at 0.9 --iterations 1000"


def test_the_printed_configuration_is_that_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [*RUN.split(), "--model.preset", "uw", "--anneal", "a.b=linear:1:0.1:20", "--optimiser.eps", "1e-10"]
    assert main([*line, "--print-config"]) == 0
    file = tmp_path / "config.yaml"
    file.write_text(capsys.readouterr().out)
    assert parse_train(["--config", str(file)]).config == parse_train(line[1:]).config
    assert main(["train", "--config", str(file), "--print-config"]) == 0
    assert capsys.readouterr().out == file.read_text()
    assert list(tmp_path.iterdir()) == [file]


numbers = st.floats(1e-12, 1e12)
texts = st.sampled_from(["1:30", "yes", "- a", "é", "{a: 1}", "'", "a: b", " ", "null", "3", "[1]"])


@settings(max_examples=12, phases=(Phase.explicit, Phase.generate))
@given(model=st.sampled_from(models.names()), lr=numbers, clip_limit=numbers, seed=st.integers(0, 2**40), text=texts)
def test_any_configuration_reloads_exactly(
    model: str, lr: float, clip_limit: float, seed: int, text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flags = [f"--model={model}", f"--optimiser.lr={lr}", f"--clip_limit={clip_limit}", f"--seed={seed}"]
    config = parse_train(["--task=babi", f"--task.data={text}", *flags]).config
    file = tmp_path_factory.mktemp("configs") / "config.yaml"
    file.write_text(yaml.safe_dump(config.to_dict(), sort_keys=False))
    assert parse_train(["--config", str(file)]).config == config
    assert Config.from_dict(yaml.safe_load(file.read_text())) == config


def test_a_dry_run_shows_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUN.split(), "--dry-run", "--output", "run"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"body\.cell\.interface +LinearInterface +4,680\n  total +27,950\n", text)
    assert re.search(r"  inputs +\[14, 16, 8\] +torch\.float32\n", text)
    assert re.search(r"  iteration +\S+ s +of 14 steps, the mean of 14 to 14\n", text)
    assert re.search(r"  whole run +\d+:\d\d +at most: solved_at may end it earlier\n", text)
    assert re.search(r"  kept for the backward pass +\S+ MiB\n  together +\S+ MiB\n", text)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_finds_mistakes_as_the_run_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN.split(), "--dry-run", "--model.similarity", "cosin"]) == 2
    assert "unknown similarity 'cosin': did you mean 'cosine'" in capsys.readouterr().err
