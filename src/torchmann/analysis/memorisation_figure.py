"""The picture of memorisation: what networks keep of each input, and what the theory says of when to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from torch import Tensor

from torchmann.analysis.memorisation import (
    brute_force_bounds,
    fitted_decay,
    memorisation_bound,
    memorised,
    optimal_write_steps,
)
from torchmann.analysis.style import FAINT, GOOD, INK, styled
from torchmann.core import OptionError

COLOURS = ("#b3471d", "#1f4e79", "#7a5195", "#7d7d7d")
"""Of the networks' curves, which are at most so many."""

DISTINGUISHED = 1e-3
"""Contributions below this share of the highest look like it."""

BOUND_STEPS, BOUND_SLOTS, FORGETTING = 15, 2, 0.8
"""The sequence and memory of which every schedule is tried: two writes, that a plane can show, at one lambda."""

DECAYS = np.linspace(0.5, 1.5, 51)

_LINE = {"arrowstyle": "-", "color": INK, "linewidth": 0.7}
_MARK = {"arrowstyle": "-|>", "color": INK, "linewidth": 0.7, "mutation_scale": 5, "shrinkA": 0, "shrinkB": 0}


def memorisation_figure(
    contributions: Mapping[str, Tensor], title: str, *, write_steps: Mapping[str, Sequence[int]] | None = None
) -> Figure:
    """Draw ``c_{i,t}`` of each network, what is left of each input at the last step, and the bound of every schedule.

    Args:
        contributions: ``[T, T]`` by name of the network (of a batch: the mean over its rows), at most four.
        title: of the picture.
        write_steps: by name of the network, the steps (from 1) at which it writes, to be marked above its map.

    Raises:
        OptionError: no network, or more than four.
    """
    if not 1 <= len(contributions) <= len(COLOURS):
        raise OptionError(f"contributions must hold 1 to {len(COLOURS)} networks, got {len(contributions)}.")
    past = [_array(c_TT)[np.tri(len(c_TT), dtype=bool)] for c_TT in contributions.values()]
    highest = max(values.max() for values in past)
    lowest = max(min(values.min() for values in past), highest * DISTINGUISHED)
    with styled():
        figure = Figure(figsize=(9.6, 6.0), layout="constrained")
        rows = figure.add_gridspec(2, 1, height_ratios=[1.2, 1], hspace=0.06)
        above, below = rows[0].subgridspec(1, len(contributions)), rows[1].subgridspec(1, 3, wspace=0.06)
        maps: list[Axes] = []
        for number, (name, c_TT) in enumerate(contributions.items()):
            axis = figure.add_subplot(above[number], sharey=maps[0] if maps else None)
            image = _heat_map(axis, c_TT, lowest, highest)
            _mark_writes(axis, (write_steps or {}).get(name, ()))
            axis.set_title(name, pad=11)
            axis.tick_params(labelleft=not maps)
            maps.append(axis)
        maps[0].set_ylabel("input i")
        bar = figure.colorbar(image, ax=maps, pad=0.015, aspect=28, label="contribution c of input i to step t")
        bar.outline.set_visible(False)
        _plain_numbers(bar.ax)
        _left_at_the_end(figure.add_subplot(below[0]), contributions)
        _schedules(figure.add_subplot(below[1]))
        _decays(figure.add_subplot(below[2]))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def _heat_map(axis: Axes, c_TT: Tensor, lowest: float, highest: float) -> AxesImage:
    """Inputs downwards, steps to the right; what lies in the future stays grey."""
    values = _array(c_TT).T
    future = np.tri(len(values), k=-1, dtype=bool)
    axis.set_facecolor("#eef1f3")
    image = axis.imshow(
        np.ma.masked_where(future, np.maximum(values, lowest)),
        extent=(0.5, len(values) + 0.5, len(values) + 0.5, 0.5),
        aspect="auto",
        cmap="YlGnBu",
        norm=LogNorm(lowest, highest),
        interpolation="nearest",
    )
    axis.set_xlabel("step t")
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    return image


def _mark_writes(axis: Axes, steps: Sequence[int]) -> None:
    for step in steps:
        axis.annotate("", (step, 1), (0, 5), axis.get_xaxis_transform(), "offset points", arrowprops=_MARK)


def _left_at_the_end(axis: Axes, contributions: Mapping[str, Tensor]) -> None:
    for colour, (name, c_TT) in zip(COLOURS, contributions.items(), strict=False):
        label = f"{name}\nI = {float(memorised(c_TT)):.3g}, λ = {float(fitted_decay(c_TT)):.2f}"
        axis.plot(range(1, len(c_TT) + 1), _array(c_TT[-1]), color=colour, linewidth=1.4, label=label)
    axis.set_yscale("log")
    _plain_numbers(axis)
    axis.set_title("c at the last step; its mean is I")
    axis.set_xlabel("input i")
    axis.grid(True)
    axis.legend(loc="upper left", fontsize=7)
    low, high = axis.get_ylim()
    axis.set_xlim(0.5, max(len(c_TT) for c_TT in contributions.values()) + 0.5)
    axis.set_ylim(low, high * (high / low) ** (0.2 * len(contributions)))  # room for the legend
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axis.spines[["top", "right"]].set_visible(False)


def _schedules(axis: Axes) -> None:
    """The bound over the plane of both write steps."""
    plane = np.full((BOUND_STEPS - 1, BOUND_STEPS - 1), np.nan)
    for (first, second), bound in brute_force_bounds(BOUND_STEPS, BOUND_SLOTS, FORGETTING).items():
        plane[second - 1, first - 1] = bound
    edge = BOUND_STEPS - 0.5
    axis.set_facecolor("#eef1f3")
    image = axis.imshow(plane, extent=(0.5, edge, 0.5, edge), origin="lower", cmap="Greens", aspect="auto")
    axis.figure.colorbar(image, ax=axis, pad=0.02, aspect=20, ticks=MaxNLocator(3)).outline.set_visible(False)
    first, second = optimal_write_steps(BOUND_STEPS, BOUND_SLOTS)
    axis.plot(first, second, "o", markersize=6, color="white", markeredgecolor=INK)
    axis.annotate("equal\nintervals", (first, second), (8.6, 2.4), arrowprops=_LINE)
    axis.set_title(f"bound / C, λ = {FORGETTING}, {BOUND_STEPS} steps")
    axis.set_xlabel("first write")
    axis.set_ylabel("second write")
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(MaxNLocator(5, integer=True))


def _decays(axis: Axes) -> None:
    """Equal intervals between the best and the worst schedule, from forgetting to exploding."""
    steps = optimal_write_steps(BOUND_STEPS, BOUND_SLOTS)
    equal = np.array([memorisation_bound(steps, BOUND_STEPS, decay) for decay in DECAYS])
    every = np.array([list(brute_force_bounds(BOUND_STEPS, BOUND_SLOTS, decay).values()) for decay in DECAYS])
    axis.fill_between(DECAYS, every.min(1), every.max(1), color=FAINT, label=f"all {every.shape[1]} schedules")
    axis.plot(DECAYS, equal, color=GOOD, linewidth=1.6, label="equal intervals")
    axis.axvline(1, color=INK, linewidth=0.6, linestyle=":")
    axis.set_yscale("log")
    _plain_numbers(axis)
    axis.set_title(f"bound / C, {BOUND_STEPS} steps, {BOUND_SLOTS} writes")
    axis.set_xlabel("λ")
    axis.legend(loc="upper left", fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _plain_numbers(axis: Axes) -> None:
    """On a logarithmic axis: 1, 2 and 5 of each decade, in full."""
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
