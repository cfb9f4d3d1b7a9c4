"""Our ARMIN, AwTA and TARDIS against those of zoharli/armin written anew, of any size, with any noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.interop.cases import Case, agree_with, random_case, there_and_back
from tests.interop.oracles import armin as oracle

from torchmann.core.errors import DataError
from torchmann.interop import replay

SIZES = {
    "small": {"I": 1, "O": 1, "H": 8, "r": 2, "slots": 2, "key_size": 1, "T": 4, "B": 1},
    "wide": {"I": 3, "O": 2, "H": 9, "r": 5, "slots": 3, "key_size": 4, "T": 7, "B": 3},
    "never filled": {"I": 2, "O": 3, "H": 8, "r": 8, "slots": 11, "key_size": 3, "T": 5, "B": 2},
}
MODELS = ("armin", "tardis", "awta")
CODES = ("algorithmic tasks", "pixel task")


def made(sizes: str, model: str, code: str, *, tau: float = 2.0, **options: Any) -> Case:
    size = dict(SIZES[sizes])
    if model == "awta" and code == "pixel task":
        size["r"] = size["H"]
    options = {"layer_norm": False, "zoneout": False, "training_mode": True} | options
    steps, batch = size["T"], size["B"]
    case = random_case(
        "armin",
        size,
        {"model": model, "code": code, "tau": tau, **options},
        inputs={"input": (steps, batch, size["I"])},
        output=(steps, batch, size["O"]),
        constants={"tau": tau, "forget_bias": 1.0},
    )
    generator = np.random.default_rng(7)
    if model != "armin" or code == "pixel task":
        case["noise/gumbel_address"] = generator.gumbel(size=(steps, batch, size["slots"]))
    if model == "tardis":
        case["noise/gumbel_gate"] = generator.gumbel(size=(steps, batch, 2))
    if model != "armin" and code == "pixel task":
        starts = ("initial_c", "initial_h") if model == "tardis" else ("initial_c",)
        case |= {f"noise/{name}": generator.normal(size=(batch, size["H"])) for name in starts}
    return case


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers(sizes: str, model: str, code: str) -> None:
    agree_with(oracle.run, made(sizes, model, code), start_gradients=False)


def test_layer_norm() -> None:
    case = made("wide", "awta", "pixel task", layer_norm=True)
    assert case["param/malstms.0.ln1.alpha"].shape == (45,)
    agree_with(oracle.run, case, start_gradients=False)


@pytest.mark.parametrize("model", ["armin", "awta"])
@pytest.mark.parametrize("training", [True, False])
def test_zoneout(model: str, training: bool) -> None:
    case = made("wide", model, "pixel task", zoneout=True, zoneout_keep=0.8, training_mode=training)
    if training:
        case["noise/zoneout_keep_mask"] = np.random.default_rng(3).integers(0, 2, (7, 3, 9)).astype(float)
    else:
        case["const/zoneout_keep_mean"] = np.array(0.8)
    agree_with(oracle.run, case, start_gradients=False)


def test_the_algorithmic_armin_takes_no_notice_of_its_temperature() -> None:
    cold, warm = (made("wide", "armin", "algorithmic tasks", tau=tau) for tau in (1.0, 9.0))
    np.testing.assert_array_equal(replay(cold)["output"], replay(warm)["output"])


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("model", MODELS)
def test_there_and_back(model: str, code: str) -> None:
    there_and_back(made("wide", model, code), lost=["reads"])  # a step reads anew


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "lstm"}, "option 'model' of armin must be one of .*'armin', 'tardis', 'awta'"),
        ({"code": "language model"}, "option 'code' of armin must be one of"),
        ({"layer_norm": True}, "missing malstms.0.ln1.alpha"),
        ({"zoneout": True}, "armin needs the option 'zoneout_keep'"),
    ],
)
def test_options_that_cannot_be(change: dict[str, Any], message: str) -> None:
    case = made("wide", "awta", "pixel task")
    case["meta"]["options"] |= change
    with pytest.raises(DataError, match=message):
        replay(case)


def test_an_inverse_temperature_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="tau of armin must be above 0"):
        replay(made("wide", "armin", "pixel task", tau=0.0))
