"""``torchmann engines``: what runs on this machine, found by trying it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import torch

from torchmann import models
from torchmann.cli.parser import Parser
from torchmann.cli.table import aligned
from torchmann.engines.engine import ENGINES, automatic_choice
from torchmann.training.config import model_defaults

DEVICES = ("cpu", "cuda")
TRIED = ("lstm", "dnc", "sam", "armin")
"""One model of each kind: without a memory, with a dense and a sparse one, and one that stores what it was."""


def show_engines(arguments: Sequence[str]) -> int:
    """``torchmann engines``."""
    parser = Parser(
        prog="torchmann engines",
        description=f"Try every engine on every device with four small models ({', '.join(TRIED)}): which can be "
        "trained, which can be evaluated, and why not the others.",
    )
    parser.parse_args(list(arguments))
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPU cores, {_gpu()}\n")
    rows = [
        [name, device, _verdict(name, device, training=True), _verdict(name, device, training=False)]
        for name in ENGINES
        for device in DEVICES
    ]
    print("\n".join(aligned([["engine", "device", "training", "evaluation"], *rows])))
    print(f'\nengine="auto" takes: {automatic_choice()}')
    return 0


def _gpu() -> str:
    """The GPU, or why there is none."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    built = torch.version.cuda or torch.version.hip
    return "no GPU or no driver for it" if built else "no GPU: this build of torch is for CPUs only"


def _verdict(engine: str, device: str, *, training: bool) -> str:
    """The models that an engine runs, or why it runs none."""
    if device == "cuda" and not torch.cuda.is_available():
        return "no"
    problems = {name: _problem(name, engine, device, training) for name in TRIED}
    runs = [name for name, problem in problems.items() if not problem]
    return ", ".join(runs) if runs else f"no: {problems[TRIED[-1]]}"


def _problem(name: str, engine: str, device: str, training: bool) -> str:
    """Why a model does not run; empty if it does."""
    try:
        make: Any = models.model_named(name)
        model = make(4, **model_defaults(name), engine=engine, device=device).train(training)
        inputs_TBI = torch.zeros(2, 1, 4, device=device)
        with torch.set_grad_enabled(training):
            output_TBO, _ = model(inputs_TBI)
        if training:
            output_TBO.sum().backward()
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        return " ".join(str(error).split())
    return ""
