"""Our DNC against thaihungle/UW-DNC written anew: both controllers, dense and held steps, limits, fed starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.interop.cases import Case, agree_with, random_case, there_and_back
from tests.interop.oracles import uw_dnc as oracle

from torchmann.core.errors import DataError
from torchmann.interop import replay

SIZES = {
    "one of each": {"I": 1, "O": 1, "H": 1, "N": 1, "W": 1, "R": 1, "T_encoder": 2, "T_decoder": 1, "B": 1},
    "one head": {"I": 3, "O": 2, "H": 5, "N": 4, "W": 3, "R": 1, "T_encoder": 6, "T_decoder": 3, "B": 2},
    "three heads": {"I": 2, "O": 4, "H": 4, "N": 6, "W": 2, "R": 3, "T_encoder": 4, "T_decoder": 5, "B": 3},
}
CONTROLLERS = ("lstm", "gru")


def made(
    sizes: str, controller: str, *, clip: float = 20.0, fed: bool = True, mode: int = 0, every: int | None = None
) -> Case:
    """A case that writes at every step, or at each `every`-th."""
    size = SIZES[sizes]
    start = {name: (size["B"], *shape) for name, shape in oracle.state_shapes(size, controller).items()}
    constants: dict[str, Any] = {"clip": clip, "initial_fill": 1e-6, "forget_bias": 1.0, "l2_epsilon": 1e-12}
    if every is not None:
        constants["write_step_mask"] = [int((t + 1) % every == 0) for t in range(size["T_encoder"])]
    return random_case(
        "uw-dnc",
        size,
        {"controller": controller, "hold_mem_mode": mode, "cache": False, "dual_controller": False},
        inputs={f"input/{part}": (size[f"T_{part}"], size["B"], size["I"]) for part in ("encoder", "decoder")},
        output=(size["T_decoder"], size["B"], size["O"]),
        fed=start if fed else None,
        constants=constants,
    )


@pytest.mark.parametrize("clip", [0.0, 0.4, 20.0])
@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_with_dense_writing(sizes: str, controller: str, clip: float) -> None:
    agree_with(oracle.run, made(sizes, controller, clip=clip), start_gradients=False)


@pytest.mark.parametrize("mode", [1, 2, 3])
@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_with_held_steps(sizes: str, controller: str, mode: int) -> None:
    agree_with(oracle.run, made(sizes, controller, mode=mode, every=3), start_gradients=False)


@pytest.mark.parametrize("every", [None, 2])
@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_its_own_start(sizes: str, controller: str, every: int | None) -> None:
    arrays = made(sizes, controller, fed=False, mode=2 if every else 0, every=every)
    agree_with(oracle.run, arrays, start_gradients=False, tied=True)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_there_and_back(controller: str) -> None:
    there_and_back(made("three heads", controller))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param/controller_scope/controller/interface_weights": None}, "missing .*/interface_weights"),
        ({"param/embe_w": np.zeros((3, 3))}, "parameters of uw-dnc: surplus embe_w"),
        ({"input/decoder": None}, "input of uw-dnc: missing decoder"),
        ({"input/decoder": np.zeros((3, 1, 3))}, r"decoder must be \[3, 2, 3\], got \[3, 1, 3\]"),
        ({"const/write_step_mask": np.ones(5)}, r"write_step_mask must be \[6\], got \[5\]"),
        ({"const/write_step_mask": None}, "uw-dnc with hold_mem_mode = 2 needs the constant write_step_mask"),
        ({"const/write_step_mask": np.array(1)}, "'write_step_mask' of uw-dnc must be a number for each step"),
    ],
)
def test_one_clear_error(change: Case, message: str) -> None:
    arrays = made("one head", "lstm", mode=2, every=2) | change
    with pytest.raises(DataError, match=message):
        replay({key: value for key, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("controller", "rnn", r"option 'controller' of uw-dnc must be one of \['lstm', 'gru'\], got 'rnn'"),
        ("hold_mem_mode", 4, "option 'hold_mem_mode' of uw-dnc must be one of"),
        ("cache", True, "uw-dnc with the option 'cache' can't be built: it must be off"),
    ],
)
def test_options_that_cannot_be(option: str, value: Any, message: str) -> None:
    arrays = made("one head", "lstm")
    arrays["meta"]["options"][option] = value
    with pytest.raises(DataError, match=message):
        replay(arrays)
