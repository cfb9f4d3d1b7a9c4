from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from torchmann.core import DataError
from torchmann.training.tensor_file import load_tree, save_tree

WEIGHTS = torch.arange(6.0).view(2, 3)
TREE = {
    "model": {"tied": WEIGHTS, "again": WEIGHTS, "transposed": WEIGHTS.t(), "flag": torch.tensor(True)},
    "optimiser": {
        "state": {0: {"step": torch.tensor(3.0)}, 1: {}},
        "groups": [{"betas": (0.9, 0.999), "lr": 0.1 + 0.2}],
    },
    "noise": torch.Generator().get_state(),
    "nothing": None,
    "infinite": math.inf,
    "name": 'é "checksum":"0000',
    "empty": torch.zeros(0, 3, dtype=torch.int64),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "odd": {"$": "a key of ours"},
    "a.b": torch.tensor(1),
    "a": {"b": torch.tensor(2)},
}


def same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return one.dtype == two.dtype and one.shape == two.shape and torch.equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree", TREE)
    assert same(load_tree(tmp_path / "tree"), TREE)


leaves = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | st.text()
tensors = st.builds(lambda *numbers: torch.tensor(numbers), st.floats(width=32, allow_nan=False), st.just(1.0))
trees = st.recursive(
    leaves | tensors,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(tree=trees)
def test_any_tree_comes_back_as_it_was(tree: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("trees") / "tree"
    save_tree(path, tree)
    assert same(load_tree(path), tree)


def test_any_program_can_read_the_tensors(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree", TREE)
    with safe_open(tmp_path / "tree", framework="pt") as file:
        assert torch.equal(file.get_tensor("model.tied"), WEIGHTS)
        assert json.loads(file.metadata()["torchmann"])["tree"]["name"] == TREE["name"]


def test_what_is_loaded_shares_no_memory(tmp_path: Path) -> None:
    save_tree(tmp_path / "tree", TREE)
    loaded = load_tree(tmp_path / "tree")
    loaded["model"]["tied"].zero_()
    assert torch.equal(loaded["model"]["again"], WEIGHTS)


def test_every_damage_is_found(tmp_path: Path) -> None:
    """A bit turned over anywhere, or an end cut off anywhere."""
    path = tmp_path / "tree"
    save_tree(path, TREE)
    content, numbers = path.read_bytes(), random.Random(0)
    damaged = [content[:size] for size in range(0, len(content), 61)]
    for place in range(0, len(content), 7):
        turned = bytearray(content)
        turned[place] ^= 1 << numbers.randrange(8)
        damaged.append(bytes(turned))
    for bad in damaged:
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"tree is damaged"):
            load_tree(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]", b"not tensors"]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(DataError, match="is damaged, or is no tensor file of torchmann"):
        load_tree(tmp_path / "other")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing cannot be read: No such file"):
        load_tree(tmp_path / "missing")


def test_what_is_no_plain_value_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"plain values, model\.0\.odd is a complex"):
        save_tree(tmp_path / "tree", {"model": [{"odd": 1j}]})
    assert not (tmp_path / "tree").exists()
