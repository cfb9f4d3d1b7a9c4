"""On which devices a test of this folder runs: on an accelerator, and in part on the CPU, to be tested itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch

NEEDS_GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator"))


def on_devices(values: Iterable[Any], cpu: Iterable[Any] = ()) -> list[Any]:
    """Pairs of a value and a device: every value with the accelerator, those of `cpu` with the CPU as well."""
    here = [pytest.param(value, "cpu", id=f"{value}-cpu") for value in cpu]
    return [*here, *(pytest.param(value, "cuda", id=f"{value}-cuda", marks=NEEDS_GPU) for value in values)]
