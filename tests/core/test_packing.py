"""Files of tensors and plain values (what damages them is tested where they are used: models, training)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from torchmann.core import DataError
from torchmann.core.packing import pack, unpack

WEIGHT = torch.arange(6.0).view(2, 3)
TENSORS = {
    "weight": WEIGHT,
    "turned": WEIGHT.t(),
    "scale": torch.tensor(2, dtype=torch.bfloat16),
    "checksum": WEIGHT[:0],
}
VALUES = {"text": 'é {"checksum": "000', "none": None, "list": [1, 0.1 + 0.2, True], "inside": {"checksum": "1"}}


def test_tensors_and_values_come_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pack(TENSORS, VALUES))
    tensors, values = unpack(tmp_path / "file")
    assert values == VALUES and set(tensors) == set(TENSORS)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_equal_content_gives_equal_files() -> None:
    assert pack(TENSORS, VALUES) == pack(dict(reversed(TENSORS.items())), VALUES)


def test_other_programs_read_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pack(TENSORS, VALUES))
    with safe_open(tmp_path / "file", framework="pt") as file:
        assert torch.equal(file.get_tensor("turned"), WEIGHT.t())
        assert json.loads(file.metadata()["torchmann"])["list"] == VALUES["list"]


@pytest.mark.parametrize("place", [0, 8, 40, 100, -1])
def test_a_changed_byte_is_found(place: int, tmp_path: Path) -> None:
    content = bytearray(pack(TENSORS, VALUES))
    content[place] ^= 4
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match="file is damaged"):
        unpack(tmp_path / "file")
