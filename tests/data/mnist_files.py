"""A small MNIST, written by the tests themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from torchmann.data import mnist

COUNTS = {"train": 40, "test": 12}


def idx(array: Tensor) -> bytes:
    """An array of bytes in the idx format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.dim())) + sizes + bytes(array.flatten().tolist())


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Images ``[N, 28, 28]`` and labels ``[N]``."""
    draws = torch.Generator().manual_seed(len(split))
    count = COUNTS[split]
    images = torch.randint(256, (count, 28, 28), generator=draws, dtype=torch.uint8)
    return images, torch.arange(count, dtype=torch.uint8) % 10


def write_mnist(folder: Path) -> dict[str, bytes]:
    """Write the four files; returns their contents by name."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {}
    for split, names in mnist.FILES.items():
        for name, array in zip(names, digits(split), strict=True):
            contents[name] = idx(array)
            (folder / name).write_bytes(contents[name])
    return contents


def take_for_published(contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the contents pass for the published ones."""
    for name, content in contents.items():
        monkeypatch.setitem(mnist.SHA256, name, hashlib.sha256(content).hexdigest())
