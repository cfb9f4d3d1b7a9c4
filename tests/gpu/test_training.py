"""Training on an accelerator: the same losses as on the CPU, checkpoints, several seeds, captured iterations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.gpu.devices import on_devices
from tests.training.tiny import tiny_config

from torchmann.training import Choice, Training
from torchmann.training.captured import MOST, WARM_UP
from torchmann.training.ensemble import Ensemble
from torchmann.training.run import training_of
from torchmann.training.tensor_file import load_tree, save_tree

OPTIMISERS = ("adam", "rmsprop", "graves")


def training(model: str = "dnc", optimiser: str = "adam", **settings: Any) -> Training:
    """Of sequences of one length, so that shapes come again."""
    config = tiny_config(model, optimiser, **{"iterations": 8, "evaluate_every": 8, **settings})
    task = Choice("copy", {"bits": 2, "min_length": 2, "max_length": 2})
    return training_of(replace(config, task=task))


def losses(run: Training) -> list[float]:
    return [measured.loss for measured in run if measured.split == "train"]


@pytest.mark.parametrize(("model", "device"), on_devices(["dnc", "ntm", "lstm", "dam"], cpu=["dnc", "lstm"]))
def test_training_comes_to_the_same_losses(model: str, device: str) -> None:
    assert losses(training(model, device=device)) == pytest.approx(losses(training(model)), rel=1e-3)


@pytest.mark.parametrize(("truncate", "device"), on_devices([3], cpu=[3]))
def test_chunks(truncate: int, device: str) -> None:
    found, expected = training(truncate=truncate, device=device), training(truncate=truncate)
    assert losses(found) == pytest.approx(losses(expected), rel=1e-3)


@pytest.mark.parametrize(("model", "device"), on_devices(["dnc", "armin"], cpu=["dnc", "armin"]))
def test_a_checkpoint_goes_on_on_the_cpu(model: str, device: str, tmp_path: Path) -> None:
    first = training(model, device=device)
    first.start()
    for _ in range(3):
        first.step()
    save_tree(tmp_path / "state", first.state_dict())
    second = training(model)
    second.load_state_dict(load_tree(tmp_path / "state"))
    for mine, theirs in zip(second.parameters, first.parameters, strict=True):
        assert mine.device.type == "cpu" and torch.equal(mine, theirs.cpu())
    second.start()
    second.step()
    assert second.iteration == 4 and torch.stack([p.isfinite().all() for p in second.parameters]).all()


@pytest.mark.parametrize(("model", "device"), on_devices(["dnc", "lstm", "armin"], cpu=["lstm"]))
def test_several_seeds_at_once(model: str, device: str) -> None:
    alone = [losses(training(model, device=device, seed=seed)) for seed in range(2)]
    together = Ensemble([training(model, device=device, seed=seed) for seed in range(2)])
    found: list[list[float]] = [[], []]
    for place, measured in together:
        if measured.split == "train":
            found[place].append(measured.loss)
    for mine, expected in zip(found, alone, strict=True):
        assert mine == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("optimiser", "device"), on_devices(OPTIMISERS))
def test_captured_iterations_are_those_of_the_plain_loop(optimiser: str, device: str) -> None:
    options: dict[str, Any] = {"device": device, "iterations": WARM_UP + 5}
    captured, plain = training(optimiser=optimiser, capture=True, **options), training(optimiser=optimiser, **options)
    assert losses(captured) == pytest.approx(losses(plain), rel=1e-4)
    assert captured.captured is not None and len(captured.captured.graphs) == 1
    for mine, theirs in zip(captured.parameters, plain.parameters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("clip", "device"), on_devices(["none", "value", "tensor", "global"]))
def test_every_clipping_can_be_captured(clip: Any, device: str) -> None:
    options: dict[str, Any] = {"device": device, "clip": clip, "clip_limit": 0.1, "iterations": WARM_UP + 3}
    captured = training(capture=True, **options)
    assert losses(captured) == pytest.approx(losses(training(**options)), rel=1e-4)
    assert captured.captured is not None and captured.captured.graphs


@pytest.mark.parametrize(("model", "device"), on_devices(["lstm", "ntm", "dam", "rmc"]))
def test_other_models_can_be_captured(model: str, device: str) -> None:
    options: dict[str, Any] = {"device": device, "iterations": WARM_UP + 3}
    assert losses(training(model, capture=True, **options)) == pytest.approx(
        losses(training(model, **options)), rel=1e-4
    )


@pytest.mark.parametrize(("engine", "device"), on_devices(["eager", "compiled"]))
def test_engines_can_be_captured(engine: str, device: str) -> None:
    options: dict[str, Any] = {"device": device, "iterations": WARM_UP + 3}
    runs = []
    for settings in ({"capture": True}, {}):
        config = tiny_config("dnc", evaluate_every=8, **options, **settings)
        body = Choice("dnc", {**config.model.options, "engine": engine})
        task = Choice("copy", {"bits": 2, "min_length": 2, "max_length": 2})
        runs.append(losses(training_of(replace(config, model=body, task=task))))
    assert runs[0] == pytest.approx(runs[1], rel=1e-4)


@pytest.mark.parametrize(("model", "device"), on_devices(["dnc"]))
def test_captured_iterations_go_on_from_a_state(model: str, device: str) -> None:
    run = training(model, device=device, capture=True)
    run.start()
    for _ in range(WARM_UP + 2):
        run.step()
    state, found = run.state_dict(), training(model, device=device, capture=True)
    found.load_state_dict(state)
    for each in (run, found):
        for _ in range(WARM_UP + 2):
            each.step()
    for mine, theirs in zip(found.parameters, run.parameters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    run.load_state_dict(state)  # of its own graphs none is left, for the optimiser's tensors are new
    assert run.captured is not None and not run.captured.graphs


@pytest.mark.parametrize(("model", "device"), on_devices(["lstm"]))
def test_few_shapes_are_captured(model: str, device: str) -> None:
    run = training(model, device=device, capture=True)
    run.start()
    assert run.captured is not None
    for steps in range(1, MOST + 3):
        task = Choice("copy", {"bits": 2, "min_length": steps, "max_length": steps})
        made = tiny_config(model)
        built = replace(made, task=task).build_task()
        for number in range(WARM_UP + 2):
            batch = built.batch(number, 4, seed=0).to(run.device)
            run.optimiser.zero_grad()
            run.captured(built, batch)
    assert len(run.captured.graphs) == MOST
