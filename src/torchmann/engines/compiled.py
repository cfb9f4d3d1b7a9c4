"""The compiled engine: one compiled step, and its compiled vector-Jacobian product, over a whole sequence.

The forward pass keeps the state before each step and the outputs of its linear maps. The backward pass computes again
what lies between them and goes through the step backwards, all in one compiled function. Nothing is unrolled, so the
time to compile does not depend on T. There is a pair of functions for each step kind, for the batch size that comes
first, for a batch of one, and for all others.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.core.cell import Cell
from torchmann.core.recorder import Recorder
from torchmann.core.state import Tree
from torchmann.engines import eager


def unroll(
    cell: Cell,
    inputs_TBI: Tensor,
    state: Any,
    *,
    schedule: Sequence[Hashable],
    lengths_B: Tensor | None = None,
    reset_TB: Tensor | None = None,
    noise: Tree = None,
) -> tuple[Tensor, Any]:
    """Run `cell` over the time axis, with the arguments and results of `eager.unroll`.

    While something is recorded, on the meta device, for an empty batch and under export, that runs instead.

    Raises:
        OptionError: there is no compiler, the step cannot be compiled, or this is called within `torch.func`.
    """
    options: dict[str, Any] = {
        "schedule": schedule,
        "lengths_B": lengths_B,
        "reset_TB": reset_TB,
        "noise": noise,
    }
    if Recorder.listening() or inputs_TBI.is_meta or not inputs_TBI.shape[1] or torch.compiler.is_exporting():
        return eager.unroll(cell, inputs_TBI, state, **options)
    from torchmann.engines.graphs.sequence import run  # takes seconds, for it imports torch's compiler

    return run(cell, inputs_TBI, state, **options)


def available(recurrent: nn.Module) -> str | None:
    """Why this engine cannot run a `Recurrent` (or a cell) where its tensors are; None if it can."""
    tensors = (*recurrent.parameters(), *recurrent.buffers())
    return compiler_problem(tensors[0].device.type if tensors else "cpu")


_CXX = {"darwin": "clang++", "win32": "cl"}


@cache
def compiler_problem(device_type: str) -> str | None:
    """Why nothing can be compiled for a type of device on this machine; None if it can."""
    if device_type == "cpu":
        command = os.environ.get("CXX") or _CXX.get(sys.platform, "g++")  # as torch's compiler looks for it
        compiler = command.split()[0]
        if shutil.which(compiler) is None:
            return f"there is no C++ compiler {compiler} (the environment variable CXX may name another)"
        if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
            return "the C headers of Python are not installed"
        return None
    if device_type == "cuda":
        from torch.utils._triton import has_triton

        return None if has_triton() else "triton is not installed, or does not know this GPU"
    return f"there is no compiler for the device {device_type!r}"
