"""verify: does our model compute what another code base recorded? Compared array by array, with stated tolerances."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np

from torchmann.core.errors import DataError, OptionError
from torchmann.interop.replay import described, replay
from torchmann.interop.sources import SOURCES

RECORDED = ("output", "state/", "grad/")
FORWARD_TOLERANCE = {"float32": (1e-5, 1e-4), "float64": (1e-9, 1e-9)}
"""Absolute and relative, of each number of an output or a state."""
GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-8}
"""Of the largest deviation in a gradient, times its largest entry or one."""
TIE = 1e-5
"""Usages that come closer than this may be sorted the other way round, and slots filled in another order."""


@dataclass(frozen=True)
class Comparison:
    """One recorded array beside ours.

    Attributes:
        key: of the array.
        deviation: largest absolute difference; infinite where there is nothing to compare.
        excess: the deviation by the tolerance: above one is a miss.
        reordered: compared sorted over slots, because two usages were tied.
        problem: why there is nothing to compare; empty if there is.
    """

    key: str
    deviation: float
    excess: float
    reordered: bool = False
    problem: str = ""

    @property
    def agrees(self) -> bool:
        return self.excess <= 1.0


@dataclass(frozen=True)
class Verdict:
    """What came of one file.

    Attributes:
        path: of the file.
        source: the code base that it was recorded from.
        comparisons: one for each recorded array.
        error: why the case could not be run; empty if it could.
    """

    path: Path
    source: str = ""
    comparisons: list[Comparison] = field(default_factory=list)
    error: str = ""

    @property
    def agrees(self) -> bool:
        return not self.error and all(comparison.agrees for comparison in self.comparisons)

    def worst(self, group: str) -> Comparison | None:
        """The comparison that comes nearest to a miss, or misses most, among the keys that begin with `group`."""
        mine = [comparison for comparison in self.comparisons if comparison.key.startswith(group)]
        return max(mine, key=lambda comparison: comparison.excess, default=None)


def verify(path: str | Path) -> Verdict:
    """Replay a recorded case and compare all that it recorded; a file that can't be run is a verdict, too."""
    path, source = Path(path), ""
    try:
        arrays = read_case(path)
        source = str(described(arrays.get("meta", "{}")).get("source", ""))
        return Verdict(path, source, list(compare(arrays, replay(arrays))))
    except (DataError, OptionError) as error:
        return Verdict(path, source, error=str(error))


def read_case(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file.

    Raises:
        DataError: no such file, or one that is no archive, is damaged, or holds pickled objects.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file.")
    if not is_zipfile(path):
        raise DataError(f"{path} is no .npz file, or it was cut short: record or copy it again.")
    try:
        with np.load(path) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}. Record or copy it again.") from None


def compare(arrays: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> Iterator[Comparison]:
    """Each array that a case recorded beside the one that `replay` found.

    Raises:
        DataError: nothing was recorded.
    """
    meta = described(arrays["meta"])
    tied, axes = usages_tie(meta), SOURCES[meta["source"]].slot_axes
    recorded = [key for key in arrays if key.startswith(RECORDED)]
    if not recorded:
        raise DataError("the case has no output, no state/* and no grad/*: there is nothing to compare with.")
    for key in sorted(recorded):
        want, got = np.asarray(arrays[key]), found.get(key)
        if got is None or got.shape != want.shape:
            got_shape = "nothing" if got is None else list(got.shape)
            problem = f"recorded {list(want.shape)}, replayed {got_shape}"
            yield Comparison(key, float("inf"), float("inf"), problem=problem)
            continue
        over = axes.get(key.removeprefix("state/"), ()) if tied and key.startswith("state/") else ()
        deviation, excess = _deviation(key, _ordered(got, over), _ordered(want, over))
        yield Comparison(key, deviation, excess, reordered=bool(over))


def usages_tie(meta: Mapping[str, Any]) -> bool:
    """Whether two usages of the case came so close that the order in which slots are filled depends on rounding."""
    gaps = meta.get("gap_between_neighbouring_usages", {})
    return any(gap["smallest"] <= TIE for gap in gaps.values())


def _deviation(key: str, got: np.ndarray, want: np.ndarray) -> tuple[float, float]:
    """The largest absolute difference, and that by the tolerance."""
    difference = np.abs(got.astype(np.float64) - want)
    deviation = float(difference.max(initial=0.0))
    dtype = str(want.dtype) if str(want.dtype) in FORWARD_TOLERANCE else "float32"
    if key.startswith("grad/"):
        excess = deviation / (GRADIENT_TOLERANCE[dtype] * max(1.0, float(np.abs(want).max(initial=0.0))))
    else:
        absolute, relative = FORWARD_TOLERANCE[dtype]
        excess = float((difference / (absolute + relative * np.abs(want))).max(initial=0.0))
    return (deviation, excess) if np.isfinite(excess) else (float("inf"), float("inf"))


def _ordered(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The value sorted over some of its axes taken together: the same for every permutation of these."""
    if not axes:
        return value
    last = np.moveaxis(value, axes, range(-len(axes), 0))
    return np.sort(last.reshape(*last.shape[: -len(axes)], -1), axis=-1)
