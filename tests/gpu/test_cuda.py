"""Stored models go from device to device. Skipped where there is no accelerator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.gpu.devices import on_devices

import torchmann as tm


@pytest.mark.parametrize(("saved_on", "loaded_on"), [*on_devices(["cuda", "cpu"], cpu=["cpu"])])
def test_a_stored_model_goes_to_any_device(saved_on: str, loaded_on: str, tmp_path: Path) -> None:
    model = tm.DNC(3, 8, slots=5, width=4).to(saved_on)
    tm.save(model, tmp_path / "model")
    loaded = tm.load(tmp_path / "model", device=loaded_on).state_dict()
    assert {value.device.type for value in loaded.values()} == {loaded_on}
    assert all(torch.equal(value.cpu(), loaded[name].cpu()) for name, value in model.state_dict().items())
