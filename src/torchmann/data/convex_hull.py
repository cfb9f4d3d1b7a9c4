"""Planar points with their convex hulls, as pointer networks are trained on: read the public files and check them.

A line is ``x1 y1 ... xn yn output i1 ... ik i1``: the points, and the numbers, from 1, of the hull's corners.
Legend: B instances, N points of the largest, S steps of the longest hull, closed.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.data.cache import Parsed, cached
from torchmann.data.locate import locate
from torchmann.data.reading import content, decoded, require_complete

PUBLISHED = {"convex_hull_5_test": 10_000}
"""Instances of the files whose number is known."""

_FILE = re.compile(r"^(?P<stem>convex_hull_(?P<points>\d+)(-\d+)?_(?P<split>train|test))\.txt(\.gz)?$")
_PARSER = 1
"""Counted up when the parser changes, so that no older result is taken from the cache."""


class Hulls(NamedTuple):
    """Instances side by side.

    Attributes:
        points_BN2: coordinates; zeros beyond an instance's points.
        counts_B: points of each instance.
        corners_BS: indices, from 0, of the corners, counter-clockwise and the first again at the end; -1 after it.
    """

    points_BN2: Tensor
    counts_B: Tensor
    corners_BS: Tensor

    def rows(self, rows: Tensor | slice) -> Hulls:
        """Some instances, no wider than the largest of them."""
        counts_B, corners_BS = self.counts_B[rows], self.corners_BS[rows]
        steps = int((corners_BS >= 0).sum(1).max())
        return Hulls(self.points_BN2[rows, : int(counts_B.max())], counts_B, corners_BS[:, :steps])


def load_convex_hulls(
    split: str, path: str | Path | None = None, *, min_points: int, max_points: int, allow_partial: bool = False
) -> Hulls:
    """The instances of the public files ``convex_hull_*_train.txt`` or ``convex_hull_*_test.txt``, packed or not.

    They are in the files' order; of several files the one of fewer points comes first.

    Args:
        split: ``"train"`` or ``"test"``.
        path: a file of that name, a folder with such files, or one with such a folder ``convex_hull``; by default the
            folder that downloads go to.
        min_points: instances with fewer points are left out.
        max_points: instances with more points are left out.
        allow_partial: take a file with fewer instances than the published one.

    Raises:
        DataError: a file is missing, damaged, or partial and not allowed to be, or nothing in it is of these sizes.
    """
    found = locate("convex_hull", path)
    files = _files(found, split, max_points)
    if not files:
        raise DataError(
            f"{found} holds no file convex_hull_N_{split}.txt (or .txt.gz) with instances of {min_points} to "
            f"{max_points} points: give the folder or file that does, or another range of points."
        )
    tensors, _ = cached(
        "convex-hull",
        files,
        lambda: _parse(files, min_points, max_points, allow_partial),
        parser=_PARSER,
        min_points=min_points,
        max_points=max_points,
        allow_partial=allow_partial,
    )
    return Hulls(tensors["points"], tensors["counts"], tensors["corners"])


def _files(found: Path, split: str, max_points: int) -> list[Path]:
    """The files of a split that may have small enough instances, each once."""
    by_name: dict[tuple[int, str], Path] = {}
    for file in sorted(found.iterdir()) if found.is_dir() else [found]:
        match = _FILE.match(file.name)
        if match and match["split"] == split and int(match["points"]) <= max_points:
            by_name.setdefault((int(match["points"]), match["stem"]), file)
    return [by_name[name] for name in sorted(by_name)]


def _parse(files: Iterable[Path], min_points: int, max_points: int, allow_partial: bool) -> Parsed:
    coordinates, corners = array("d"), array("q")
    counts, steps = array("q"), array("q")
    for file in files:
        lines = decoded(content(file), file).splitlines()
        for number, line in enumerate(lines, start=1):
            words = line.split()
            try:
                points = _count_points(words)
                if min_points <= points <= max_points:
                    coordinates.extend(_coordinates(words, points))
                    corners.extend(hull := _corners(words, points))
                    counts.append(points)
                    steps.append(len(hull))
            except ValueError as error:
                raise DataError(f"{file}, line {number}: {error}: {line[:60]!r}. Get the file again.") from error
        stem = file.name.partition(".")[0]
        require_complete(file, len(lines), PUBLISHED.get(stem, len(lines)), "instances", allow_partial)
    if not counts:
        raise DataError(f"{', '.join(map(str, files))}: no instance has {min_points} to {max_points} points.")
    counts_B, steps_B = torch.tensor(counts), torch.tensor(steps)
    return {
        "points": _side_by_side(torch.tensor(coordinates, dtype=torch.float64).view(-1, 2), counts_B, 0.0),
        "counts": counts_B,
        "corners": _side_by_side(torch.tensor(corners), steps_B, -1),
    }, {}


def _count_points(words: list[str]) -> int:
    points, odd = divmod(words.index("output") if "output" in words else 0, 2)
    if odd or not points:
        raise ValueError("expected x1 y1 ... xn yn output i1 ... i1")
    return points


def _coordinates(words: list[str], points: int) -> list[float]:
    coordinates = [float(word) for word in words[: 2 * points]]
    if not all(0 <= value <= 1 for value in coordinates):
        raise ValueError("a coordinate is not in [0, 1]")
    return coordinates


def _corners(words: list[str], points: int) -> list[int]:
    corners = [int(word) - 1 for word in words[2 * points + 1 :]]
    distinct = set(corners)
    closed = len(corners) == len(distinct) + 1 and corners[0] == corners[-1]
    if not closed or len(distinct) < 3 or not distinct <= set(range(points)):
        raise ValueError("the hull is not at least three different points and the first of them again")
    return corners


def _side_by_side(flat: Tensor, lengths_B: Tensor, padding: float) -> Tensor:
    """The parts of `flat`, one row each, with `padding` behind the shorter ones."""
    padded = flat.new_full((len(lengths_B), int(lengths_B.max()), *flat.shape[1:]), padding)
    padded[torch.arange(padded.shape[1]) < lengths_B.unsqueeze(1)] = flat
    return padded
