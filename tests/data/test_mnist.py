from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.mnist_files import digits, idx, take_for_published, write_mnist

from torchmann.core.errors import DataError
from torchmann.data.mnist import FILES, load_mnist, read_idx

NAMES = [name for names in FILES.values() for name in names]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    take_for_published(write_mnist(tmp_path / "mnist"), monkeypatch)
    return tmp_path / "mnist"


@settings(max_examples=30)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 9))
def test_an_idx_file_is_read_as_it_was_written(shape: list[int], seed: int) -> None:
    array = torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    assert torch.equal(read_idx(idx(array), "file"), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no idx file of unsigned bytes"),
        (b"\0\0\x08", "is no idx file of unsigned bytes"),
        (b"<html>Not found.</html>", "is no idx file of unsigned bytes"),
        (b"\0\0\x0d\x01\0\0\0\x01\0", "is no idx file of unsigned bytes"),  # floats
        (b"\0\0\x08\x03\0\0\0\x01", "is no idx file of unsigned bytes"),  # sizes are missing
        (idx(torch.zeros(3, 2, dtype=torch.uint8))[:-1], "has 5 bytes for an array of 3 x 2"),
        (idx(torch.zeros(3, 2, dtype=torch.uint8)) + b"!", "has 7 bytes for an array of 3 x 2"),
    ],
)
def test_what_is_no_idx_file(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^file .*{message}.* Get it again"):
        read_idx(data, "file")


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".gz", lambda data: gzip.compress(data, 1, mtime=0)),
        (".xz", lzma.compress),
    ],
)
def test_files_in_any_packing(folder: Path, ending: str, pack: object) -> None:
    for name in NAMES:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / f"{name}{ending}").write_bytes(pack(content))  # type: ignore[operator]
    for path in (folder, folder.parent):
        found = load_mnist(path)
        for split, read in found.items():
            images, labels = digits(split)
            assert torch.equal(read.images, images.flatten(1)) and torch.equal(read.labels, labels)


def test_names_with_a_point(folder: Path) -> None:
    for name in NAMES:
        (folder / name).rename(folder / name.replace("-idx", ".idx"))
    assert len(load_mnist(folder)["test"].labels) == 12


@pytest.mark.parametrize("name", NAMES)
def test_another_content_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is damaged or another file: its content is not the published one"):
        load_mnist(folder)


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"digits" * 99, mtime=0)[:30], b"not packed"], ids=["empty", "cut", "other"]
)
def test_a_damaged_file(folder: Path, content: bytes) -> None:
    name = "t10k-labels-idx1-ubyte"
    (folder / name).unlink()
    (folder / f"{name}.gz").write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}\.gz is (empty|damaged).*Get it again"):
        load_mnist(folder)


def test_a_missing_file(folder: Path, tmp_path: Path) -> None:
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"mnist holds no file train-labels-idx1-ubyte.*torchmann download mnist"):
        load_mnist(folder)
    with pytest.raises(DataError, match=r"MNIST: the path .* does not exist"):
        load_mnist(tmp_path / "none")


@pytest.mark.skipif(
    not (Path(os.environ.get("TORCHMANN_DATA", "nowhere")) / "mnist").is_dir(),
    reason="TORCHMANN_DATA names no folder with mnist/",
)
def test_published_mnist() -> None:
    found = load_mnist()
    assert found["train"].images.shape == (60_000, 784) and found["test"].images.shape == (10_000, 784)
    assert found["train"].labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert found["test"].labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found["train"].images.float().mean() / 255 == pytest.approx(0.1307, abs=1e-4)
