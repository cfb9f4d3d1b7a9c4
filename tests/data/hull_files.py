"""Small files of convex hulls, written by the tests themselves."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path


def line_of(points: Iterable[Sequence[int]], corners: Iterable[int], scale: int = 100) -> str:
    """A line as the files have it, of points with whole numbers over `scale`, and of indices from 0."""
    numbers = [str(value / scale) for point in points for value in point]
    return " ".join([*numbers, "output", *(str(index + 1) for index in corners), "\n"])


def write(folder: Path, name: str, lines: Iterable[str]) -> Path:
    """Write a file, packed if its name says so."""
    path = folder / name
    text = "".join(lines).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path
