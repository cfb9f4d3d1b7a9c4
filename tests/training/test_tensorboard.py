from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from torchmann.cli import main
from torchmann.training import RunDirectory

TINY = (
    "--task copy --task.bits 2 --task.max_length 2 --model lstm --model.hidden_size 8 --batch_size 4 --iterations 4 "
    "--log_every 1 --checkpoint_every 2 --evaluate_every 2 --evaluation_batches 2 --evaluation_batch_size 5"
)


def train(run: Path, *more: str) -> int:
    return main(["train", *TINY.split(), "--output", str(run), *more])


def logged(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_the_log_has_what_the_metrics_have(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert train(tmp_path, "--tensorboard") == 0
    found = logged(tmp_path)
    for measurement in RunDirectory.open(tmp_path).measurements():
        for name, value in {"loss": measurement.loss, **measurement.scores}.items():
            events = dict(found[f"{measurement.split}/{name}"])
            assert events[measurement.iteration] == pytest.approx(value, rel=1e-6)


def test_a_resumed_run_goes_on_in_its_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert train(tmp_path, "--tensorboard") == 0
    assert main(["train", "--resume", str(tmp_path), "--iterations", "6"]) == 0
    assert [step for step, _ in logged(tmp_path)["train/loss"]] == [1, 2, 3, 4, 5, 6]


def test_a_replaced_run_has_a_new_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert train(tmp_path, "--tensorboard") == 0
    assert train(tmp_path, "--overwrite") == 0
    assert not list((tmp_path / "tensorboard").iterdir())


def test_without_the_package_all_else_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "torchmann.training.tensorboard.find_spec", lambda name: None if name == "tensorboard" else find(name)
    )
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert train(tmp_path / "with", "--tensorboard") == 2
    message = capsys.readouterr().err
    assert "pip install 'torchmann[tensorboard]'" in message and message.count("\n") == 1
    assert not (tmp_path / "with").exists()
    assert train(tmp_path / "without") == 0
    assert main(["eval", str(tmp_path / "without")]) == 0
