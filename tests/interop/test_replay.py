"""What a recorded case must have, and the one clear error for each thing that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchmann.core.errors import DataError, OptionError
from torchmann.interop import from_source, replay
from torchmann.interop.verify import read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
Case = dict[str, Any]


@pytest.fixture
def case() -> Case:
    arrays = read_case(GOLDENS / "deepmind-dnc-init.npz")
    return {key: value for key, value in arrays.items() if not key.startswith(("output", "state/", "grad/"))}


def changed(case: Case, **sizes: Any) -> Case:
    meta = json.loads(str(case["meta"]))
    meta["sizes"] |= sizes
    return case | {"meta": json.dumps(meta)}


def without(key: str) -> Callable[[Case], Case]:
    return lambda case: {name: value for name, value in case.items() if name != key}


BIAS = "param/dnc/lstm/b_gates"

WRONG: dict[str, tuple[Callable[[Case], Case], str]] = {
    "no meta": (without("meta"), "'meta' is missing: a case has meta, param"),
    "meta is not JSON": (lambda case: case | {"meta": "{"}, "meta must be JSON"),
    "meta is a list": (lambda case: case | {"meta": "[]"}, "meta must be a JSON object, got list"),
    "no weights of the output": (without("G"), "'G' is missing"),
    "weights of another shape": (lambda case: case | {"G": case["G"][1:]}, r"G must be \[8, 2, 5\], got \[7, 2, 5\]"),
    "no input": (without("input"), "input of deepmind-dnc: missing input"),
    "a parameter is missing": (without(BIAS), "parameters of deepmind-dnc: missing dnc/lstm/b_gates"),
    "a parameter too many": (
        lambda case: case | {"param/dnc/lstm/b_gate": case[BIAS]},
        r"surplus dnc/lstm/b_gate \(did you mean dnc/lstm/b_gates\?\)",
    ),
    "a parameter of another shape": (
        lambda case: case | {BIAS: case[BIAS][1:]},
        r"dnc/lstm/b_gates must be \[36\], got \[35\]",
    ),
    "parameters of two dtypes": (
        lambda case: case | {BIAS: case[BIAS].astype(np.float64)},
        "floats of one dtype, got torch.float32, torch.float64",
    ),
    "whole numbers": (lambda case: case | {BIAS: case[BIAS].astype(int)}, "floats of one dtype"),
    "words": (lambda case: case | {BIAS: np.array(["a"])}, "'dnc/lstm/b_gates' must hold numbers, got ndarray"),
    "a size is missing": (lambda case: changed(case, W=None), "needs the size 'W' as a positive integer"),
    "a size is zero": (lambda case: changed(case, N=0), "needs the size 'N' as a positive integer.* 0"),
    "a size does not fit": (lambda case: changed(case, R=3), "Do the sizes in meta belong to these arrays"),
    "an unknown constant": (lambda case: case | {"const/clip": 3.0}, "has no constant 'clip'; known: epsilon, clip"),
    "a constant that is built in": (lambda case: case | {"const/epsilon": 1e-3}, "epsilon = 0.001 can't be built"),
    "an input of other width": (
        lambda case: case | {"input": case["input"][..., 1:]},
        r"input must be \[8, 2, 4\], got \[8, 2, 3\]",
    ),
    "an unbatched input": (lambda case: case | {"input": case["input"][:, 0]}, "input must be"),
    "an unknown part of the state": (
        lambda case: case | {"initial_state/usages": case["initial_state/usage"]},
        r"state of deepmind-dnc: surplus usages \(did you mean usage\?\)",
    ),
    "a state of other size": (
        lambda case: case | {"initial_state/usage": case["initial_state/usage"][:, 1:]},
        r"usage must be \[2, 6\], got \[2, 5\]",
    ),
    "noise of a model without": (
        lambda case: case | {"noise/dropout_mask": case["input"]},
        "deepmind-dnc records no noise 'dropout_mask'; known: none",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_one_clear_error(wrong: str, case: Case) -> None:
    change, message = WRONG[wrong]
    with pytest.raises(DataError, match=message):
        replay(change(case))


def test_unknown_source(case: Case) -> None:
    with pytest.raises(OptionError, match="unknown source 'deepmind_dnc': did you mean 'deepmind-dnc'"):
        from_source("deepmind_dnc", {}, {})


def test_part_of_the_initial_state_is_enough(case: Case) -> None:
    """The rest starts as it does in the source."""
    memory_only = {key: value for key, value in case.items() if not key.startswith("initial_state/")}
    memory_only["initial_state/memory"] = case["initial_state/memory"]
    found = replay(memory_only)
    assert "grad/initial_state/memory" in found and "grad/initial_state/usage" not in found
    assert not np.allclose(found["output"], replay(case)["output"])


def test_arrays_may_be_tensors_and_meta_a_mapping(case: Case) -> None:
    tensors = {key: torch.from_numpy(value) for key, value in case.items() if key != "meta"}
    tensors["meta"] = json.loads(str(case["meta"]))
    for key, value in replay(tensors).items():
        np.testing.assert_array_equal(value, replay(case)[key])


def test_the_given_arrays_are_left_alone(case: Case) -> None:
    before = {key: np.array(value) for key, value in case.items()}
    replay(case)
    assert all(np.array_equal(case[key], value) for key, value in before.items())
