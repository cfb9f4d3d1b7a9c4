"""Parameters, gradients and states go from a source to our model and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.interop import SourceModel, from_source
from torchmann.interop.arrays import tensors
from torchmann.interop.verify import read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
CASES = {json.loads(str(read_case(path)["meta"]))["source"]: path for path in sorted(GOLDENS.glob("*.npz"))}
every_source = pytest.mark.parametrize("source", CASES)


def made(source: str) -> tuple[SourceModel, dict[str, Tensor]]:
    arrays = read_case(CASES[source])
    groups: dict[str, dict] = {"param": {}, "const": {}}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        if group in groups:
            groups[group][name] = value
    theirs = from_source(source, groups["param"], str(arrays["meta"]), groups["const"])
    return theirs, tensors(groups["param"])


def close(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        torch.testing.assert_close(
            value.detach(), expected[name], rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@every_source
def test_the_map_names_our_parameters_exactly(source: str) -> None:
    theirs, params = made(source)
    assert theirs.parameters(params).keys() == dict(theirs.model.named_parameters()).keys()


@every_source
def test_parameters_come_back(source: str) -> None:
    theirs, params = made(source)
    close(theirs.export_parameters(), params)


@every_source
def test_trained_parameters_make_the_same_model_again(source: str) -> None:
    theirs, params = made(source)
    from_theirs = theirs.parameters({name: value + torch.randn_like(value) for name, value in params.items()})
    with torch.no_grad():
        for name, parameter in theirs.model.named_parameters():
            parameter.copy_(from_theirs[name])
    exported = theirs.export_parameters()
    assert any(not torch.allclose(exported[name], params[name]) for name in params)
    close(theirs.parameters(exported), dict(theirs.model.named_parameters()))


@every_source
def test_gradients_there_and_back(source: str) -> None:
    theirs, _ = made(source)
    used = theirs.export_gradients()
    theirs.import_gradients({name: torch.randn_like(value) for name, value in used.items()})
    ours = {name: parameter.grad.clone() for name, parameter in theirs.model.named_parameters()}
    there = theirs.export_gradients()
    theirs.import_gradients(there)
    close({name: parameter.grad for name, parameter in theirs.model.named_parameters()}, ours)


@every_source
def test_states_there_and_back(source: str) -> None:
    theirs, _ = made(source)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, theirs.model.input_size, generator=generator, dtype=theirs.dtype)
    with torch.no_grad():
        _, state = theirs.model(x)
        exported = theirs.export_state(state)
        again = theirs.export_state(theirs.import_state(exported))
    close(again, exported)
    assert all(len(value) == 3 for value in exported.values())


def test_a_state_of_no_arrays_needs_a_batch_size() -> None:
    theirs, _ = made("deepmind-dnc")
    with pytest.raises(DataError, match="needs batch_size="):
        theirs.import_state({})
    assert theirs.import_state({}, batch_size=2).reads.shape[0] == 2
