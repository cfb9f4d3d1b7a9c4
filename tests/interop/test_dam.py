"""Our DAM against taewonpark/DAM written anew: any number of blocks, heads and layers, dropout, limits, fed starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.interop.cases import Case, agree_with, random_case, there_and_back
from tests.interop.oracles import dam as oracle

from torchmann.core.errors import DataError
from torchmann.interop import replay

SIZES = {
    "one of each": {"I": 1, "O": 1, "H": 2, "K": 1, "N": 1, "W": 1, "R": 1, "T": 3, "B": 1},
    "two blocks": {"I": 3, "O": 2, "H": 5, "K": 2, "N": 4, "W": 3, "R": 3, "T": 5, "B": 2},
    "four blocks": {"I": 2, "O": 4, "H": 4, "K": 4, "N": 3, "W": 2, "R": 2, "T": 4, "B": 3},
}


def made(sizes: str, *, clip: float = 0.0, keep: float = 1.0, layers: tuple[int, ...] = (), fed: bool = True) -> Case:
    size = SIZES[sizes]
    shape = (size["T"], size["B"])
    start = {name: (size["B"], *shape) for name, shape in oracle.state_shapes(size).items()}
    arrays = random_case(
        "dam",
        size,
        {"output_mlp": list(layers), "keep_prob": keep, "clip_value": clip},
        inputs={"input": (*shape, size["I"])},
        output=(*shape, size["O"]),
        fed=start if fed else None,
        constants={"clip_value": clip, "keep_prob": keep, "epsilon": 1e-6, "layer_norm_eps": 1e-6, "forget_bias": 1.0},
    )
    if keep < 1:
        kept = np.random.default_rng(1).random((*shape, size["H"])) < keep
        arrays["noise/dropout_mask"] = kept.astype(np.float64)
    return arrays


@pytest.mark.parametrize("layers", [(), (3,), (4, 1, 2)])
@pytest.mark.parametrize(("clip", "keep"), [(0.0, 1.0), (0.3, 0.6), (20.0, 0.9)])
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_a_fed_start(sizes: str, clip: float, keep: float, layers: tuple[int, ...]) -> None:
    agree_with(oracle.run, made(sizes, clip=clip, keep=keep, layers=layers))


@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_zeros(sizes: str) -> None:
    agree_with(oracle.run, made(sizes, fed=False), tied=True)


def test_there_and_back() -> None:
    there_and_back(made("two blocks", layers=(4, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param/DAM/layer_norm/beta": None}, "parameters of dam: missing DAM/layer_norm/beta"),
        ({"param/DAM/projection_1/bias": np.zeros(2)}, "surplus DAM/projection_1/bias"),
        ({"param/DAM/output_linear/w": np.zeros((2, 2))}, r"DAM/output_linear/w must be \[4, 2\], got \[2, 2\]"),
        ({"const/epsilon": np.array(1e-3)}, "dam with epsilon = 0.001 can't be built"),
        ({"const/keep_prob": np.array(0.0)}, r"constant 'keep_prob' of dam must be in \(0, 1\], got 0"),
        ({"const/keep_prob": np.array(0.5)}, "dam with keep_prob = 0.5 needs noise/dropout_mask"),
        ({"noise/dropout_mask": np.ones((5, 2, 5))}, "dam with keep_prob = 1 takes no noise/dropout_mask"),
        ({"const/clip": np.array(1.0)}, "dam has no constant 'clip'; known: epsilon, layer_norm_eps, clip_value"),
    ],
)
def test_one_clear_error(change: Case, message: str) -> None:
    arrays = made("two blocks", layers=(4,)) | change
    with pytest.raises(DataError, match=message):
        replay({key: value for key, value in arrays.items() if value is not None})


@pytest.mark.parametrize("layers", [4, [0], ["4"]])
def test_layers_must_be_a_list_of_widths(layers: Any) -> None:
    arrays = made("two blocks", layers=(4,))
    arrays["meta"]["options"]["output_mlp"] = layers
    with pytest.raises(DataError, match="option 'output_mlp' of dam must be a list of widths"):
        replay(arrays)
