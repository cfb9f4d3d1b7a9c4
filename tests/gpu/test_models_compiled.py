"""Every model, compiled for an accelerator, gives what the eager engine gives on the CPU; most of the time compiles."""

from __future__ import annotations

import pytest
from tests.gpu.devices import on_devices
from tests.gpu.test_models import agree, everything, model_named

from torchmann import models


@pytest.mark.parametrize(("name", "device"), on_devices(models.names()))
def test_compiled(name: str, device: str) -> None:
    eager, compiled = model_named(name, "eager").double(), model_named(name, "compiled").double()
    agree(everything(compiled, device), everything(eager, "cpu"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "device"), on_devices([], cpu=["lstm"]))
def test_the_same_on_the_cpu(name: str, device: str, uncompiled: list[object]) -> None:
    eager, compiled = model_named(name, "eager").double(), model_named(name, "compiled").double()
    agree(everything(compiled, device), everything(eager, device), rtol=1e-7, atol=1e-9)
    assert uncompiled
