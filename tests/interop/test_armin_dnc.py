"""Our DNC against the DNC baseline of zoharli/armin written anew: any sizes, learned and fed starts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.interop.cases import Case, agree_with, random_case, there_and_back
from tests.interop.oracles import armin_dnc as oracle

from torchmann.core.errors import DataError
from torchmann.interop import replay

SIZES = {
    "one of each": {"I": 1, "O": 1, "H": 1, "N": 1, "W": 1, "R": 1, "T": 3, "B": 1},
    "one head": {"I": 3, "O": 2, "H": 5, "N": 4, "W": 3, "R": 1, "T": 5, "B": 2},
    "three heads": {"I": 2, "O": 4, "H": 4, "N": 6, "W": 2, "R": 3, "T": 4, "B": 3},
}


def made(sizes: str, *, fed: bool) -> Case:
    size = SIZES[sizes]
    return random_case(
        "armin-dnc",
        size,
        inputs={"input": (size["T"], size["B"], size["I"])},
        output=(size["T"], size["B"], size["O"]),
        fed={name: (size["B"], *shape) for name, shape in oracle.memory_shapes(size).items()} if fed else None,
        constants={"delta": 1e-6, "forget_bias": 1.0},
    )


@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_a_fed_memory(sizes: str) -> None:
    agree_with(oracle.run, made(sizes, fed=True), start_gradients=False)


@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_an_empty_memory(sizes: str) -> None:
    agree_with(oracle.run, made(sizes, fed=False), start_gradients=False, tied=True)


def test_a_recorded_start_that_parameters_make_hands_its_gradient_to_them() -> None:
    arrays = made("three heads", fed=True)
    own = replay(arrays)
    recorded = np.tanh(np.broadcast_to(arrays["param/h_bias"], (3, 4)))
    assert np.any(own["grad/h_bias"])
    np.testing.assert_array_equal(replay(arrays | {"initial_state/h": recorded})["grad/h_bias"], own["grad/h_bias"])
    assert not np.any(replay(arrays | {"initial_state/h": recorded + 1})["grad/h_bias"])


def test_there_and_back() -> None:
    there_and_back(made("three heads", fed=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param/h_bias": None}, "parameters of armin-dnc: missing h_bias"),
        ({"param/memories.memory_bias": np.zeros(2)}, "surplus memories.memory_bias"),
        ({"param/rnns.bias": np.zeros(4)}, r"rnns.bias must be \[20\], got \[4\]"),
        ({"const/clip": np.array(1.0)}, "armin-dnc has no constant 'clip'; known: delta, forget_bias"),
        ({"const/delta": np.zeros(3)}, "constant 'delta' of armin-dnc must be one number"),
    ],
)
def test_one_clear_error(change: Case, message: str) -> None:
    arrays = made("one head", fed=True) | change
    with pytest.raises(DataError, match=message):
        replay({key: value for key, value in arrays.items() if value is not None})
