"""Batches of every task go to an accelerator, where loss and scores are what they are on the CPU."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from tests.gpu.devices import on_devices
from torch import Tensor

from torchmann import tasks
from torchmann.tasks import Task

NAMES = [name for name in tasks.names() if not tasks.find(name)[0].needs_data]


def task_named(name: str) -> Task:
    make, preset = tasks.find(name)
    return make(**preset)


@pytest.mark.parametrize(("name", "device"), on_devices(NAMES, cpu=["copy", "add"]))
def test_a_batch_moves(name: str, device: str) -> None:
    task = task_named(name)
    batch = task.batch(0, 3, seed=0)
    moved = batch.to(device)
    for field in fields(batch):
        value = getattr(moved, field.name)
        if isinstance(value, Tensor):
            assert value.device.type == ("cpu" if field.name == "lengths" else device), field.name
            assert torch.equal(value.cpu(), getattr(batch, field.name)), field.name
    output_TBO = torch.randn(*batch.inputs.shape[:2], task.output_size)
    found, expected = task.loss(output_TBO.to(device), moved), task.loss(output_TBO, batch)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-5)
    there, here = task.scores(output_TBO.to(device), moved), task.scores(output_TBO, batch)
    assert there.keys() == here.keys()
    for name, score in here.items():
        for part, same in zip(score, there[name], strict=True):
            torch.testing.assert_close(same.cpu().double(), part.double(), rtol=1e-4, atol=1e-5)
