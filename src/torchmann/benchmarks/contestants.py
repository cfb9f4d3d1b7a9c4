"""Contestants: what is measured, made from a text such as ``dnc:fused``, ``dam:eager,blocks=2`` or ``nn.LSTM``.

Legend: T time, B batch, I input, O output.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from torch import Tensor, nn

from torchmann import models
from torchmann.benchmarks.frozen_dnc import FrozenDNC
from torchmann.benchmarks.workloads import Workload
from torchmann.core.errors import DataError, OptionError, unknown_name
from torchmann.engines import Recurrent

Contestant = Callable[[Workload], nn.Module]
"""Makes a module that is called with inputs ``[T, B, I]`` and gives outputs ``[T, B, O]``."""

CAPTURED = "captured:"
"""What comes before the engine of a contestant whose whole iteration is one CUDA graph: ``dnc:captured:eager``."""

NO_CLIPPING = {"clip": None, "clip_controller": None}
"""Our DNC limits its values by default; the yardstick does not, and both should compute the same function."""


class Plain(nn.Module):
    """`torch.nn.LSTM` and a linear layer."""

    def __init__(self, sizes: Workload) -> None:
        super().__init__()
        self.lstm = nn.LSTM(sizes.inputs, sizes.hidden)
        self.head = nn.Linear(sizes.hidden, sizes.outputs)

    def forward(self, input_TBI: Tensor) -> Tensor:
        """Outputs ``[T, B, O]``."""
        return self.head(self.lstm(input_TBI)[0])


class Ours(nn.Module):
    """A model of the library; its state is let go."""

    def __init__(self, model: Recurrent) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_TBI: Tensor) -> Tensor:
        """Outputs ``[T, B, O]``."""
        return self.model(input_TBI)[0]


class PytorchDNC(nn.Module):
    """The DNC of the package ``dnc``: batch first, its output as wide as its input."""

    def __init__(self, sizes: Workload) -> None:
        super().__init__()
        self.dnc = _imported("dnc").DNC(
            sizes.inputs,
            sizes.hidden,
            rnn_type="lstm",
            num_layers=1,
            nr_cells=sizes.slots,
            cell_size=sizes.width,
            read_heads=sizes.reads,
            batch_first=True,
        )
        self.head = nn.Linear(sizes.inputs, sizes.outputs)

    def forward(self, input_TBI: Tensor) -> Tensor:
        """Outputs ``[T, B, O]``."""
        output_BTI, *_ = self.dnc(input_TBI.transpose(0, 1), (None, None, None), reset_experience=True)
        return self.head(output_BTI).transpose(0, 1)


def frozen_dnc(sizes: Workload) -> nn.Module:
    """The yardstick."""
    return FrozenDNC(
        sizes.inputs,
        sizes.outputs,
        hidden_size=sizes.hidden,
        slots=sizes.slots,
        width=sizes.width,
        reads=sizes.reads,
    )


def _imported(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise DataError(
            f"the contestant {name!r} is not installed here: install it, or give the folder that holds it with --peers."
        ) from error


OTHERS: dict[str, Contestant] = {"nn.LSTM": Plain, "frozen-dnc": frozen_dnc, "pytorch-dnc": PytorchDNC}
"""Contestants that are not models of the library."""


def contestant(text: str) -> Contestant:
    """What a text names: one of `OTHERS`, or ``MODEL[:ENGINE][,KEYWORD=VALUE...]``, such as ``dnc:fused,reads=2``.

    ``captured:`` before the engine is for `measure`, and changes nothing about the model.

    Sizes come from the workload, as far as a model has them; keywords go before them.

    Raises:
        OptionError: an unknown name or keyword.
    """
    if text in OTHERS:
        return OTHERS[text]
    head, *keywords = text.split(",")
    name, _, engine = head.partition(":")
    if name not in models.names():
        raise unknown_name("contestant", name, [*OTHERS, *models.names()])
    make: Any = models.model_named(name)
    known = inspect.signature(make).parameters
    options: dict[str, Any] = {"engine": engine.removeprefix(CAPTURED) or "auto"}
    for keyword in keywords:
        key, equals, value = keyword.partition("=")
        if key not in known:
            raise unknown_name(f"keyword of the contestant {name!r}:", key, known)
        if not equals:
            raise OptionError(f"contestant {text!r}: {key} needs a value, {key}=VALUE.")
        options[key] = yaml.safe_load(value)

    def build(sizes: Workload) -> nn.Module:
        given = {
            "hidden_size": sizes.hidden,
            "slots": sizes.slots,
            "width": sizes.width,
            "reads": sizes.reads,
            "blocks": sizes.blocks,
            "output_size": sizes.outputs,
            **NO_CLIPPING,
        }
        fitting = {key: value for key, value in given.items() if key in known} | options
        model = make(sizes.inputs, **fitting)
        head = nn.Identity() if model.output_size == sizes.outputs else nn.Linear(model.output_size, sizes.outputs)
        return nn.Sequential(Ours(model), head)

    return build


def is_captured(text: str) -> bool:
    """Whether the whole iteration of a contestant is one CUDA graph."""
    return _engine(text).startswith(CAPTURED)


def problem_on(device: str, text: str) -> str | None:
    """Why a contestant cannot run on a device, ``"cpu"`` or ``"cuda"``; None if it can."""
    engine = _engine(text).removeprefix(CAPTURED)
    if device == "cpu" and is_captured(text):
        return "a CUDA graph needs --device cuda"
    if device == "cuda" and engine.removeprefix("checkpointed:") == "fused":
        return "its kernels run on the CPU"
    return None


def _engine(text: str) -> str:
    """The engine that a contestant's text names; empty if it names none."""
    return text.partition(",")[0].partition(":")[2]


def add_peers(folder: str) -> None:
    """Look for packages of contestants in `folder` as well.

    Raises:
        OptionError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise OptionError(f"--peers {folder}: there is no such folder.")
    sys.path.insert(0, folder)
