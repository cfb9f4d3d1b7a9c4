"""Golden vectors, and what it means to agree with them.

A source has an adapter: a function ``replay(golden, leaves) -> (output, states)`` that runs OUR model on THEIR arrays.
`leaves` are the golden's parameters, inputs and initial states under their own names and in their own layouts; the
adapter lays them out as ours by linear maps. So one call of autograd gives the gradients under their names, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GOLDENS = Path(__file__).parent.parent / "goldens"
LEAVES = ("param/", "input", "initial_state/")
TIE = 1e-5
NO_TIES: Mapping[str, tuple[int, ...]] = {}


@dataclass(frozen=True)
class Golden:
    """The recorded arrays of one case by key, and its description."""

    arrays: dict[str, Tensor]
    meta: dict[str, Any]

    @classmethod
    def load(cls, case: str) -> Golden:
        """Read ``<case>.npz``."""
        with np.load(GOLDENS / f"{case}.npz") as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
            return cls(arrays, json.loads(str(file["meta"])))

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The arrays under ``prefix/``, by the rest of their key."""
        return strip(self.arrays, prefix)

    @property
    def sizes(self) -> dict[str, int]:
        return self.meta["sizes"]

    @property
    def tied(self) -> bool:
        """Whether two usages came so close that slots may be filled in another order."""
        gaps = self.meta.get("gap_between_neighbouring_usages", {})
        return any(gap["smallest"] <= TIE for gap in gaps.values())

    def leaves(self) -> dict[str, Tensor]:
        """Fresh copies of what a run starts from, each wanting a gradient."""
        return {key: value.clone().requires_grad_() for key, value in self.arrays.items() if key.startswith(LEAVES)}


Replay = Callable[[Golden, dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


def strip(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays under ``prefix/``, by the rest of their key."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in arrays.items() if key.startswith(f"{prefix}/")}


def check_forward(golden: Golden, replay: Replay, slot_axes: Mapping[str, tuple[int, ...]] = NO_TIES) -> None:
    """Require the outputs, and every recorded state after every step, to agree.

    Args:
        golden: the case.
        replay: the source's adapter.
        slot_axes: by name of state, the axes that count slots; over these, states of a tied case are compared sorted.
    """
    with torch.no_grad():
        output, states = replay(golden, golden.leaves())
    agree("output", output, golden.arrays["output"])
    expected = golden.group("state")
    assert states.keys() == expected.keys()
    for name, value in states.items():
        order = slot_axes.get(name, ()) if golden.tied else ()
        agree(name, ordered(value, order), ordered(expected[name], order))


def agree(name: str, actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4, msg=lambda text: f"{name}: {text}")


def ordered(value: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The value sorted over some of its axes taken together: the same for every permutation of these."""
    return value.movedim(axes, tuple(range(-len(axes), 0))).flatten(-len(axes)).sort(-1).values if axes else value


def check_gradients(golden: Golden, replay: Replay) -> None:
    """Require the gradient of ``sum(output * G)`` with respect to every recorded array to agree."""
    leaves = golden.leaves()
    output, _ = replay(golden, leaves)
    loss = (output * golden.arrays["G"]).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    gradients = {key.removeprefix("param/"): gradient for key, gradient in zip(leaves, found, strict=True)}
    for name, expected in golden.group("grad").items():
        gradient = gradients[name]
        gradient = torch.zeros_like(expected) if gradient is None else gradient
        assert gradient.shape == expected.shape, name
        bound = 1e-4 * max(1.0, expected.abs().max().item())
        deviation = (gradient - expected).abs().max().item()
        assert deviation <= bound, f"gradient of {name} deviates by {deviation:.1e}, more than {bound:.1e}"
