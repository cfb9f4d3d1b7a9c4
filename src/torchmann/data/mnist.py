"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, from files in the idx format, packed or not.

Shapes: N images, P pixels of one, row by row.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.data.checksums import require_published
from torchmann.data.locate import locate
from torchmann.data.reading import content

SIDE = 28
UNSIGNED_BYTES = 0x08  # the code of the only type that MNIST uses

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Of the unpacked files: the packed ones differ from mirror to mirror."""


class Digits(NamedTuple):
    """Images of digits.

    Attributes:
        images: ``[N, P]`` uint8, 0 is the background.
        labels: ``[N]`` uint8, 0 to 9.
    """

    images: Tensor
    labels: Tensor


def load_mnist(path: str | Path | None = None) -> dict[str, Digits]:
    """The 60,000 images under ``"train"`` and the 10,000 under ``"test"``, in the published order.

    Args:
        path: the folder with the four files; by default where `locate` finds it.

    Raises:
        DataError: a file is missing, damaged or another one.
    """
    folder = locate("mnist", path)
    return {
        split: Digits(_published(folder, images).flatten(1), _published(folder, labels))
        for split, (images, labels) in FILES.items()
    }


def read_idx(data: bytes, place: str | Path) -> Tensor:
    """The array of unsigned bytes in the idx format.

    Args:
        data: the unpacked file.
        place: the file, for the error.

    Raises:
        DataError: it is no such array, or not all of it.
    """
    header = 4 + 4 * data[3] if data[:3] == bytes((0, 0, UNSIGNED_BYTES)) and len(data) > 3 else 0
    if not header or len(data) < header:
        raise DataError(f"{place} is no idx file of unsigned bytes. Get it again.")
    shape = [int.from_bytes(data[start : start + 4], "big") for start in range(4, header, 4)]
    if len(data) - header != math.prod(shape):
        raise DataError(
            f"{place} is damaged: it has {len(data) - header:,} bytes for an array of {' x '.join(map(str, shape))}. "
            "Get it again."
        )
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)[header:].view(shape)


def _published(folder: Path, name: str) -> Tensor:
    file = _file(folder, name)
    data = content(file)
    array = read_idx(data, file)
    require_published(file, data, SHA256[name])
    return array


def _file(folder: Path, name: str) -> Path:
    """The file of that name; some copies write the ending with a point."""
    for written in (name, name.replace("-idx", ".idx")):
        for ending in ("", ".gz", ".xz"):
            file = folder / f"{written}{ending}"
            if file.is_file():
                return file
    raise DataError(f"{folder} holds no file {name} or {name}.gz. Get it with: torchmann download mnist.")
