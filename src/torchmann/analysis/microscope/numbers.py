"""Many numbers in few characters: rounded to 8 or 16 bits, compressed, and written as text."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np


class Numbers:
    """Collects arrays for the page, which finds each by what `add` returns for it.

    A number becomes the nearest of 255 (65,535) values from one limit to the other; the highest code is left for "there
    is nothing here".
    """

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, values: np.ndarray, limits: tuple[float, float], *, bits: int) -> dict[str, Any]:
        """Take an array and return where it is, in which shape, and what its codes mean.

        Args:
            values: of any shape; what is not finite becomes "nothing".
            limits: the values that the lowest and the highest code stand for.
            bits: 8 or 16.
        """
        low, high = limits
        nothing = 2**bits - 1
        places = (values - low) / (high - low) * (nothing - 1)
        codes = np.where(np.isfinite(values), np.nan_to_num(places).round().clip(0, nothing - 1), nothing)
        content = codes.astype("<u1" if bits == 8 else "<u2").tobytes()
        content += b"\0" * (len(content) % 2)  # so that 16-bit numbers start at even places
        reference = {"at": self._size, "bits": bits, "shape": list(values.shape), "low": low, "high": high}
        self._chunks.append(content)
        self._size += len(content)
        return reference

    def text(self) -> str:
        """All of it: zlib-compressed and in base 64."""
        return base64.b64encode(zlib.compress(b"".join(self._chunks))).decode()
