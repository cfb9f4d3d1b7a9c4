"""From recorded values to the panels of the page: one panel for each name, by what is known of it or by its shape.

Legend: M moments of training, T time, K blocks, L lanes (one for each head), N rows, W columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from torch import Tensor

from torchmann.analysis.microscope.known import CONTENTS, GATES, KNOWN, MORE, Known, mode_labels, shift_labels

Kind = Literal["strips", "raster", "matrix"]
KINDS: tuple[Kind, ...] = ("strips", "raster", "matrix")
"""By the number of axes that have no lanes."""

NAMED = ("head", "write head", "block", "level", "each block", "mode", "shift", "part")
"""Axes of few entries: each entry has a lane of its own."""

FEW, FEWEST = 8, 4
"""An axis of unknown meaning is a named one up to the first size, and up to the second if it is the last one."""

MOST_LANES, MOST_ROWS, MOST_CELLS = 16, 256, 128
"""Lanes of a panel, rows over time, rows and columns of a matrix; what is beyond is cut, and the panel says so."""


@dataclass(frozen=True)
class Panel:
    """Something to be seen over time.

    Attributes:
        name: as recorded.
        title: for people.
        hint: what it is.
        group: where it stands.
        kind: ``"strips"`` are numbers over time, one for each lane; ``"raster"`` has rows over time; ``"matrix"`` is an
            image at each step.
        values_MTKLNW: NaN where there is nothing to show; axes that are not there have size 1.
        lanes: their labels, empty where there is only one.
        axes: the names of rows and columns, empty where there are none.
        limits: the values at the two ends of the colours.
        wrong_MTKLNW: True at what is to be marked as wrong.
    """

    name: str
    title: str
    hint: str
    group: str
    kind: Kind
    values_MTKLNW: np.ndarray
    lanes: tuple[str, ...]
    axes: tuple[str, str]
    limits: tuple[float, float]
    wrong_MTKLNW: np.ndarray | None = None


def recorded_panels(moments: Sequence[Mapping[str, Tensor]], most_cells: int = MOST_CELLS) -> Iterator[Panel]:
    """A panel for each recorded name, in the order in which they stand.

    Args:
        moments: what was recorded of one sequence, ``[T, ...]`` by short name, with the weights of each moment of
            training.
        most_cells: rows and columns of a matrix.
    """
    shown, order = moments[-1], list(KNOWN)
    slots = {_container(name): value.shape[-2] for name, value in shown.items() if _last(name) == "memory"}
    distributed = {_container(name) for name in shown if _last(name) == "attentive_gate"}

    def place(name: str) -> tuple[int, str]:
        return order.index(_key(name)) if _key(name) in KNOWN else len(order), name

    for name in sorted(shown, key=place):
        values = np.stack([recorded[name].numpy() for recorded in moments])
        container = _container(name)
        axes = axes_of(name, values.shape[2:], slots=slots.get(container), blocks=container in distributed)
        yield panel(name, values, axes, most_cells=most_cells)


def axes_of(name: str, shape: Sequence[int], *, slots: int | None = None, blocks: bool = False) -> tuple[str, ...]:
    """The names of the axes behind time.

    Args:
        name: as recorded; the axes of a known one are known, up to those of blocks or levels before them.
        shape: without time; it says of an unknown name what its axes may be.
        slots: N of the memory that it belongs to.
        blocks: whether that memory has blocks, which then come first.
    """
    first = ("block",) if blocks else ()
    known = KNOWN.get(_key(name))
    if known is not None and len(known.axes) <= len(shape):
        before = len(shape) - len(known.axes)
        return (*first, *["level"] * before)[:before] + known.axes
    names = list(first[: len(shape)])
    for place in range(len(names), len(shape)):
        left, size = len(shape) - place, shape[place]
        wide = left == 1 and any(name not in NAMED for name in names)  # what comes behind rows is columns
        few = left > 2 or (size <= (FEWEST if left == 1 else FEW) and size != slots)
        names.append("part" if few and not wide else "slot" if size == slots else "entry")
    return tuple(names)


def panel(
    name: str,
    values: np.ndarray,
    axes: Sequence[str],
    *,
    wrong: np.ndarray | None = None,
    most_cells: int = MOST_CELLS,
) -> Panel:
    """A panel of values ``[M, T, ...]`` whose axes behind time are called `axes`; `wrong` has the same shape."""
    wide = [axis for axis in axes if axis not in NAMED]
    row, column, *_ = [*wide, "", ""]
    kind = KINDS[len(wide)]
    known = KNOWN.get(_key(name)) or Known(_plain(_key(name)), _group(name, kind), (), "")
    values_MTKLNW = _arranged(values, axes, most_cells)
    sizes = zip(wide, values_MTKLNW.shape[4:], values.shape[values.ndim - len(wide) :], strict=False)
    cut = [f"the first {shown} of {size} {axis}s" for axis, shown, size in sizes if shown < size]
    return Panel(
        name=name,
        title=known.title + _number(name) + _whereabouts(name),
        hint="; ".join([known.hint, *cut] if known.hint else cut),
        group=known.group,
        kind=kind,
        values_MTKLNW=values_MTKLNW,
        lanes=tuple(_lane_labels(axes, values.shape[2:])[:MOST_LANES]),
        axes=(row, column),
        limits=_limits(values_MTKLNW, of_gates=known.group == GATES),
        wrong_MTKLNW=None if wrong is None else _arranged(wrong, axes, most_cells),
    )


def _arranged(values: np.ndarray, axes: Sequence[str], most_cells: int) -> np.ndarray:
    """``[M, T, ...]`` as ``[M, T, K, L, N, W]``, cut to what a panel can show."""
    values = values if "block" in axes else np.expand_dims(values, 2)
    wide = sum(axis not in NAMED for axis in axes)
    sizes = (*values.shape[values.ndim - wide :], 1, 1)[:2]
    most = most_cells if wide == 2 else MOST_ROWS
    return values.reshape(*values.shape[:3], -1, *sizes)[:, :, :, :MOST_LANES, :most, :most]


def _lane_labels(axes: Sequence[str], shape: Sequence[int]) -> list[str]:
    """One for each combination of what the named axes name; an axis of one entry goes without saying."""
    names = []
    for axis, size in zip(axes, shape, strict=True):
        if axis == "mode" and size % 2:
            names.append(mode_labels(size))
        elif axis == "shift":
            names.append(shift_labels(size))
        elif axis in NAMED and axis != "block" and size > 1:
            names.append([f"{axis.removeprefix('each ')} {number}" for number in range(1, size + 1)])
    return [", ".join(combination) for combination in product(*names)]


def _limits(values: np.ndarray, *, of_gates: bool) -> tuple[float, float]:
    """The ends of the colours: 0 and 1 of what is a share, else from zero, or as far below zero as above."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low < 0:
        return -max(-low, high), max(-low, high)
    faint = 0 < high < 0.2 and not of_gates  # a share of very many
    return 0.0, high if faint or high > 1 + 1e-6 else 1.0


def _group(name: str, kind: Kind) -> str:
    """Where a value stands whose name is not known."""
    if kind == "strips":
        return GATES
    return CONTENTS if kind == "matrix" and name.startswith("memory.") else MORE


def _key(name: str) -> str:
    """The last part of a name, without the number of one of many."""
    return re.sub(r"_\d+$", "", _last(name))


def _number(name: str) -> str:
    """``attention_0`` is called attention 1."""
    number = re.search(r"_(\d+)$", name)
    return f" {int(number[1]) + 1}" if number else ""


def _whereabouts(name: str) -> str:
    """What tells a name from its like: ``layers.0.memory.usage`` is that of layer 1."""
    parts = [part for part in name.split(".")[:-1] if part not in ("memory", "controller")]
    counted = re.sub(r"(\w+?)s? (\d+)", lambda found: f"{found[1]} {int(found[2]) + 1}", " ".join(parts))
    return f", {_plain(counted)}" if parts else ""


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _container(name: str) -> str:
    return name.rpartition(".")[0]
