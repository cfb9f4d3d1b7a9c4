"""Our NTM against vlgiitr/ntm-pytorch and loudinthecloud/pytorch-ntm written anew: any number of heads and layers."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tests.interop.cases import Case, agree_with, group, random_case
from tests.interop.oracles import loudinthecloud_ntm, vlgiitr_ntm

from torchmann.core.errors import DataError
from torchmann.interop import SourceModel, from_source, replay
from torchmann.interop.arrays import tensors

ORACLES: dict[str, ModuleType] = {"vlgiitr-ntm": vlgiitr_ntm, "loudinthecloud-ntm": loudinthecloud_ntm}
CONSTANTS = {
    "vlgiitr-ntm": {"sharpen_eps": 1e-16, "cosine_eps": 1e-8},
    "loudinthecloud-ntm": {"sharpen_eps": 1e-16, "cosine_shift": 1e-16},
}
SIZES = {
    "one of each": {"I": 1, "O": 1, "H": 1, "N": 1, "M": 1, "heads": 1, "layers": 1, "T": 3, "B": 1},
    "two slots": {"I": 3, "O": 2, "H": 4, "N": 2, "M": 3, "heads": 1, "layers": 2, "T": 5, "B": 2},
    "three heads": {"I": 2, "O": 3, "H": 5, "N": 6, "M": 4, "heads": 3, "layers": 1, "T": 4, "B": 3},
    "three layers": {"I": 4, "O": 1, "H": 3, "N": 5, "M": 2, "heads": 2, "layers": 3, "T": 1, "B": 2},
}
every_source = pytest.mark.parametrize("source", ORACLES)


def made(source: str, sizes: str = "two slots", **constants: float) -> Case:
    size, oracle = SIZES[sizes], ORACLES[source]
    return random_case(
        source,
        size,
        {"heads_in_order": "read, write for each of the heads"},
        inputs={"input": (size["T"], size["B"], size["I"])},
        output=(size["T"], size["B"], size["O"]),
        fed={name: (size["B"], *shape) for name, shape in oracle.start_shapes(size).items()},
        constants=CONSTANTS[source] | constants,
    )


def built(arrays: Case) -> SourceModel:
    return from_source(arrays["meta"]["source"], group(arrays, "param"), arrays["meta"])


@every_source
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers(source: str, sizes: str) -> None:
    agree_with(ORACLES[source].run, made(source, sizes), start_gradients=False)


@every_source
def test_a_part_of_the_start_may_be_recorded_that_the_source_makes_itself(source: str) -> None:
    """Zero weightings, and what it makes of its parameters: no input of a run, so nothing changes."""
    arrays = made(source)
    expected = replay(arrays)
    theirs = built(arrays)
    start = theirs.export_state(theirs.start(SIZES["two slots"]["B"], {}))
    made_there = [name for name in start if name.startswith("head_weights") or start[name].requires_grad]
    assert {"h", "c", "head_weights_1"} <= set(made_there)
    found = replay(arrays | {f"initial_state/{name}": start[name].detach().numpy() for name in made_there})
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@every_source
def test_what_is_not_given_of_the_start_is_zero(source: str) -> None:
    arrays = made(source)
    parts = [f"initial_state/{name}" for name in ORACLES[source].start_shapes(SIZES["two slots"])]
    without = {key: value for key, value in arrays.items() if key not in parts}
    found, expected = replay(without), replay(arrays | {key: np.zeros_like(arrays[key]) for key in parts})
    np.testing.assert_array_equal(found["output"], expected["output"])


@every_source
def test_the_epsilon_of_the_sharpening_is_honoured(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.interop.oracles.ntm.SHARPEN", 0.1)
    agree_with(ORACLES[source].run, made(source, sharpen_eps=0.1), start_gradients=False)


@every_source
@pytest.mark.parametrize("sizes", ["one of each", "three heads", "three layers"])
def test_trained_parameters_and_states_there_and_back(source: str, sizes: str) -> None:
    theirs = built(made(source, sizes))
    moved = theirs.parameters({name: value + torch.randn_like(value) for name, value in theirs.given.items()})
    with torch.no_grad():
        for name, parameter in theirs.model.named_parameters():
            parameter.copy_(moved[name])
    again = from_source(source, theirs.export_parameters(), theirs.meta)
    for (name, ours), other in zip(theirs.model.named_parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(ours, other, msg=lambda text, name=name: f"{name}: {text}")

    with torch.no_grad():
        _, state = theirs.model(torch.randn(3, 2, theirs.model.input_size, dtype=theirs.dtype))
    returned = theirs.import_state(theirs.export_state(state)).flatten()
    assert all(torch.equal(returned[name], leaf) for name, leaf in state.flatten().items())

    theirs.import_gradients({name: torch.randn_like(value) for name, value in theirs.given.items()})
    ours = [parameter.grad.clone() for parameter in theirs.model.parameters()]
    theirs.import_gradients(theirs.export_gradients())
    torch.testing.assert_close([parameter.grad for parameter in theirs.model.parameters()], ours)


@every_source
def test_numpy_or_torch_and_no_constants(source: str) -> None:
    arrays = made(source)
    given = group(arrays, "param")
    found = [from_source(source, params, arrays["meta"]).model for params in (given, tensors(given))]
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in found), strict=True))


def changed(arrays: Case, part: str, **entries: Any) -> Case:
    meta = arrays["meta"]
    return arrays | {"meta": meta | {part: meta[part] | entries}}


HEAD = {"vlgiitr-ntm": "param/heads.1.write_data_fc.bias", "loudinthecloud-ntm": "param/ntm.heads.1.fc_write.bias"}

WRONG: dict[str, tuple[Callable[[Case, str], Case], str]] = {
    "missing": (lambda case, key: {k: v for k, v in case.items() if k != key}, "missing {name}"),
    "surplus": (lambda case, key: case | {f"{key}es": case[key]}, r"surplus {name}es \(did you mean {name}\?\)"),
    "misshapen": (lambda case, key: case | {key: case[key][1:]}, r"{name} must be \[\d+\], got \[\d+\]"),
    "another number of heads": (lambda case, key: changed(case, "sizes", heads=2), r"missing .*heads\.2\."),
    "no size": (lambda case, key: changed(case, "sizes", M=None), "needs the size 'M' as a positive integer"),
    "another order": (
        lambda case, key: changed(case, "options", heads_in_order="all reads, all writes"),
        "option 'heads_in_order' of .* must be one of .*got 'all reads, all writes'",
    ),
    "another constant": (
        lambda case, key: case | {"const/eps": np.array(1.0)},
        "has no constant 'eps'; known: ",
    ),
    "noise": (lambda case, key: case | {"noise/gumbel": case["input"]}, "records no noise 'gumbel'; known: none"),
    "another part of a state": (
        lambda case, key: case | {"initial_state/link": np.zeros((2, 3))},
        "state of .*: surplus link",
    ),
}


@every_source
@pytest.mark.parametrize("wrong", WRONG)
def test_one_clear_error(source: str, wrong: str) -> None:
    change, message = WRONG[wrong]
    name = HEAD[source].removeprefix("param/").replace(".", r"\.")
    with pytest.raises(DataError, match=message.replace("{name}", name)):
        replay(change(made(source), HEAD[source]))


def test_another_number_of_layers_is_refused() -> None:
    with pytest.raises(DataError, match=r"surplus ntm\.controller\.lstm\.bias_hh_l1"):
        replay(changed(made("loudinthecloud-ntm"), "sizes", layers=1))


def test_a_shift_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"cosine_shift = 0\.1 can't be built: it is 1e-16 here"):
        replay(made("loudinthecloud-ntm", cosine_shift=0.1))
