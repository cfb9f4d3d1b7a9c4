from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from tests.data.babi_files import write_folder
from tests.training.test_processes import launch
from tests.training.tiny import tiny_config

from torchmann.core import DataError
from torchmann.training import Case, Choice, Config, Finding, Training, load_case, replay_nan, save_case, train_run
from torchmann.training.forensics import snapshot


def training_of(config: Config) -> Training:
    task = config.build_task()
    model = config.build_model(task)
    return Training(model, task, config.build_optimiser(model), config.settings)


def saved(config: Config, path: Path, iterations: int = 2, **changes: Any) -> Training:
    """A training after some iterations; the next one, its batch changed, is in a file."""
    training = training_of(config)
    training.model.train()
    for _ in range(iterations):
        training.step()
    batch = replace(training.drawn(training.iteration)[1], **changes)
    save_case(path, Case(snapshot(training), batch, None), config)
    return training


def test_a_run_that_breaks_leaves_a_file_that_shows_it_again_in_another_process(tmp_path: Path) -> None:
    config = tiny_config("rnn", "rmsprop", iterations=50, log_every=50, clip="none")
    config = replace(config, optimiser=Choice("rmsprop", {"lr": 1e38}))
    with pytest.raises(FloatingPointError) as stop:
        train_run(config, tmp_path / "run")
    (path,) = (tmp_path / "run").glob("*.safetensors")
    assert f"torchmann replay-nan {path}" in str(stop.value)
    finding = replay_nan(path)
    assert finding is not None and finding.sentence() in str(stop.value)
    program = f"from torchmann.training import replay_nan; print(tuple(replay_nan({str(path)!r})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tuple(finding))


@pytest.mark.slow
def test_several_processes_leave_one_file_with_the_rows_of_all(tmp_path: Path) -> None:
    line = "train --task copy --task.bits 2 --task.max_length 2 --model rnn --model.hidden_size 8 --batch_size 4"
    line += f" --clip none --optimiser rmsprop --optimiser.lr 1e38 --iterations 9 --output {tmp_path / 'run'}"
    done = launch("torchmann", *line.split())
    assert done.returncode != 0
    (path,) = (tmp_path / "run").glob("*.safetensors")
    finding = replay_nan(path)
    assert finding is not None and f"{finding.sentence()};" in done.stderr and f"replay-nan {path}" in done.stderr
    assert load_case(path).drawn(0)[1].batch_size == 8


def test_the_batch_comes_from_the_file_and_not_from_the_task(tmp_path: Path) -> None:
    inputs = torch.full((6, 4, 4), 0.5)
    inputs[2, 1] = torch.nan
    saved(tiny_config("ntm"), tmp_path / "case", inputs=inputs, **rest_of_a_batch())
    assert replay_nan(tmp_path / "case") == Finding(3, "batch", "inputs", "nan", 2, 1)


def rest_of_a_batch() -> dict[str, Any]:
    """The other fields of a batch of four rows and six steps of the tiny copy task."""
    everywhere = torch.ones(6, 4, dtype=torch.bool)
    bits = torch.zeros(6, 4, 2)
    masks = {"answer_mask": everywhere, "refresh_mask": everywhere}
    return {"targets": bits, "refresh_target": bits, "lengths": torch.full((4,), 6), "first_answer_step": 0, **masks}


@pytest.mark.parametrize("model", ["dnc", "armin"])
def test_the_next_step_is_the_one_of_the_run_noise_included(model: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "slots": 4} | ({"width": 4} if model == "dnc" else {})
    config = replace(tiny_config("dnc", refresh_probability=0.5), model=Choice(model, sizes))
    training = saved(config, tmp_path / "case")
    again = load_case(tmp_path / "case")
    assert again.iteration == 2
    again.model.train()
    for each in (training, again):
        each.step()
    stored, weights = again.model.state_dict(), training.model.state_dict()
    assert all(torch.equal(stored[name], value) for name, value in weights.items())
    assert replay_nan(tmp_path / "case") is None


def test_a_batch_with_fields_of_its_own_comes_back_whole(tmp_path: Path) -> None:
    task = Choice("babi", {"tasks": [1, 2], "data": str(write_folder(tmp_path)), "allow_partial": True})
    config = replace(tiny_config("dnc"), task=task)
    training = saved(config, tmp_path / "case")
    expected, (_, batch) = training.drawn(2)[1], load_case(tmp_path / "case").drawn(2)
    assert type(batch) is type(expected) and torch.equal(batch.source, expected.source)


def test_a_case_of_another_device_is_loaded_without_its_noise(tmp_path: Path) -> None:
    config = tiny_config("lstm")
    case = Case(snapshot(training_of(config)), training_of(config).drawn(0)[1], None)
    case.state["backward"]["noise"] = torch.zeros(16, dtype=torch.uint8)  # that of a GPU
    save_case(tmp_path / "case", case, replace(config, settings=replace(config.settings, device="cuda")))
    assert replay_nan(tmp_path / "case", device="cpu") is None


def test_the_file_is_tensors_and_json_alone(tmp_path: Path) -> None:
    saved(tiny_config("lstm"), tmp_path / "case")
    with safe_open(tmp_path / "case", "pt") as file:
        names, metadata = set(file.keys()), file.metadata()
    assert {"batch.inputs", "state.backward.noise", "state.model.head.weight"} <= names
    assert "lstm" in "".join(metadata.values()), "the configuration"


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        replay_nan(tmp_path / "none")
    path = tmp_path / "case"
    saved(tiny_config("lstm"), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="is damaged"):
        replay_nan(path)
    outcome = train_run(tiny_config("lstm"), tmp_path / "run")
    (checkpoint, *_) = (outcome.directory.path / "checkpoints").iterdir()
    with pytest.raises(DataError, match="holds no iteration to do again"):
        replay_nan(checkpoint)
    with pytest.raises(DataError, match="holds no tree of tensors"):
        replay_nan(outcome.directory.path / "model.safetensors")
