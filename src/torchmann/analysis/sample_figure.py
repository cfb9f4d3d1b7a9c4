"""The picture of a sequence: inputs, targets, outputs and the memory, panel below panel on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from torch import Tensor

from torchmann.analysis.sample import Sample, spelt
from torchmann.analysis.style import BAD, GOOD, INK, styled

COLOURS = {
    "bits": ["#ffffff", "#22303c"],
    "write": ["#ffffff", "#fdae6b", "#e6550d", "#7f2704"],
    "read": ["#ffffff", "#9ecae1", "#3182bd", "#08306b"],
    "usage": ["#ffffff", "#a1d99b", "#31a354", "#00441b"],
    "attention": ["#ffffff", "#fdae6b", "#e6550d", "#7f2704"],
    "attentive": ["#ffffff", "#9ecae1", "#3182bd", "#08306b"],
    "forget": ["#ffffff", "#a1d99b", "#31a354", "#00441b"],
    "change": ["#ffffff", "#bcbddc", "#756bb1", "#3f007d"],
    "hidden": ["#2166ac", "#92c5de", "#ffffff", "#f4a582", "#b2182b"],
}
"""From the lowest to the highest value; an internal is named by the first word of its title."""

WEIGHTINGS = {"write_weights": ("block", "head"), "read_weights": ("block", "head"), "usage": ("block",)}
"""What is drawn of a memory, and the axes that there may be between time and slots."""

GRID_FIELDS = 40
"""Up to this many fields along an axis, lines part them."""

LABELLED_STEPS = 160
"""Up to this length, every word of a story is written below the time axis."""


@dataclass(frozen=True)
class Panel:
    """A row of the picture."""

    title: str
    rows: int  # lines of the image, which set its height
    draw: Callable[[Axes], AxesImage | None]  # returns the image that the colour bar explains, or None


def sample_figure(sample: Sample, title: str, internals: Mapping[str, Tensor] | None = None) -> Figure:
    """Draw a sample.

    Args:
        sample: what to draw.
        title: says of what.
        internals: what to draw of the inside of the model, ``[T, N]`` by title; None is what `drawn` chooses.
    """
    panels = [
        *input_panels(sample),
        *ANSWERS[sample.answers.alphabet](sample),
        *_internal_panels(drawn(sample.internals) if internals is None else internals),
    ]
    return figure_of(sample, panels, title)


def figure_of(sample: Sample, panels: Sequence[Panel], title: str) -> Figure:
    """Panels of a sample, one below the other."""
    answers = sample.answers
    heights = [min(0.3 + 0.085 * panel.rows, 2.2) for panel in panels]
    steps = len(answers.asked_T)
    width = min(max(5.5, steps * (0.16 if sample.words else 0.3)), 26)
    with styled():
        figure = Figure(
            figsize=(width + 0.8, sum(heights) + 0.34 * len(panels) + 0.6 + _label_height(sample)), layout="constrained"
        )
        grid = figure.add_gridspec(len(panels), 2, height_ratios=heights, width_ratios=[width, 0.12])
        axes: list[Axes] = []
        for number, panel in enumerate(panels):
            axis = figure.add_subplot(grid[number, 0], sharex=axes[0] if axes else None)
            image = panel.draw(axis)
            if image is not None:
                bar = figure.colorbar(image, cax=figure.add_subplot(grid[number, 1]))
                bar.outline.set_visible(False)
                bar.locator = MaxNLocator(2)
            axis.set_title(panel.title)
            axis.tick_params(labelbottom=False)
            _frame_answers(axis, answers.asked_T.numpy())
            axes.append(axis)
        _label_time(axes[-1], sample)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def input_panels(sample: Sample) -> list[Panel]:
    """The input, where it is of vectors; words stand below the time axis."""
    if not sample.inputs.is_floating_point():
        return []
    inputs = sample.inputs.numpy()
    if np.abs(inputs).max() > 1:
        return [Panel("inputs, a line for each channel", 14, lambda axis: lines_of(axis, inputs))]
    kind = "hidden" if inputs.min() < 0 else "bits"
    return [Panel("inputs", inputs.shape[-1], lambda axis: image_of(axis, inputs, "channel", kind))]


def _bit_panels(sample: Sample) -> list[Panel]:
    answers = sample.answers
    asked_TO = answers.asked_T.unsqueeze(-1).expand_as(answers.wanted).numpy()
    targets = np.ma.masked_where(~asked_TO, answers.wanted.numpy())
    outputs = np.ma.masked_where(~asked_TO, answers.given_TO.numpy())
    wrong = [tuple(place) for place in answers.wrong().nonzero().tolist()]

    def draw_outputs(axis: Axes) -> AxesImage:
        image = image_of(axis, outputs, "channel", "bits")
        for step, channel in wrong:
            place = (step - 0.5, channel - 0.5)
            axis.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor=BAD, linewidth=1.4, zorder=3))
        return image

    channels = answers.wanted.shape[-1]
    note = f" ({len(wrong)} wrong, outlined)" if wrong else ""
    return [
        Panel("targets", channels, lambda axis: image_of(axis, targets, "channel", "bits")),
        Panel(f"outputs: probability of a one{note}", channels, draw_outputs),
    ]


def _word_panels(sample: Sample) -> list[Panel]:
    answers = sample.answers
    right = answers.right().tolist()
    best_T, given_T = answers.given_TO.max(-1)

    def draw(axis: Axes) -> None:
        for step in answers.asked_T.nonzero().squeeze(-1).tolist():
            colour = GOOD if right[step] else BAD
            axis.bar(step, best_T[step].item(), width=0.8, color=colour, alpha=0.35)
            said, wanted = sample.classes[given_T[step]], sample.classes[answers.wanted[step]]
            text = said if right[step] else f"{said}, not {wanted}"
            axis.text(step, 0.03, text, rotation=90, ha="center", va="bottom", color=colour, fontsize=7)
        axis.set_ylim(0, 1)
        axis.set_ylabel("probability")
        axis.set_xlim(-0.5, len(right) - 0.5)

    return [Panel("answers, and the probability that the model gives them", 14, draw)]


def _number_panels(sample: Sample) -> list[Panel]:
    answers = sample.answers
    asked_TO = answers.asked_T.unsqueeze(-1).expand_as(answers.wanted).numpy()

    def draw(axis: Axes) -> None:
        for values, style in ((answers.wanted, {"color": INK}), (answers.given_TO, {"color": BAD, "linestyle": "--"})):
            lines_of(axis, np.ma.masked_where(~asked_TO, values.numpy()), **style)

    return [Panel("wanted, and what the model gives (dashed)", 14, draw)]


ANSWERS = {"bits": _bit_panels, "words": _word_panels, "numbers": _number_panels}
"""What is drawn of the answers, by what they are made of."""


def _internal_panels(internals: Mapping[str, Tensor]) -> list[Panel]:
    def panel(title: str, values_TN: np.ndarray) -> Panel:
        kind = title.replace(",", "").split()[0]
        what = {"hidden": "unit", "attentive": "block"}.get(kind, "slot")
        return Panel(title, min(values_TN.shape[-1], 20), lambda axis: image_of(axis, values_TN, what, kind))

    return [panel(title, values_TN.numpy()) for title, values_TN in internals.items()]


def drawn(internals: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is drawn of the inside of a model, ``[T, N]`` by title.

    The weightings and the usage of a memory; of a memory without them, how far each slot moves; of a model without a
    memory, its hidden state.

    Args:
        internals: as of a `Sample`.
    """
    found: dict[str, Tensor] = {}
    for name, between in WEIGHTINGS.items():
        if f"memory.{name}" in internals:
            found |= _apart(name.replace("_", " "), internals[f"memory.{name}"], between)
    if not found and "memory.memory" in internals:
        return _apart("change of each slot, share of the largest", _changes(internals["memory.memory"]), ("block",))
    if not found and "h" in internals:
        found["hidden state"] = internals["h"]
    return found


def _changes(memory: Tensor) -> Tensor:
    """How far each slot has moved in a step, against the largest move, ``[T, ..., N]``; NaN at the first step."""
    moved = (memory[1:] - memory[:-1]).norm(dim=-1)
    largest = moved.max() if moved.numel() else moved.new_ones(())
    return torch.cat([torch.full_like(memory[:1, ..., 0], torch.nan), moved / largest.clamp(min=1e-12)])


def _apart(title: str, value: Tensor, between: tuple[str, ...]) -> dict[str, Tensor]:
    """The parts ``[T, N]`` of a value ``[T, ..., N]`` by title; `between` names the axes that there may be between."""
    extra = value.dim() - 2
    if not extra:
        return {title: value}
    parts: dict[str, Tensor] = {}
    for number, part in enumerate(value.unbind(1), start=1):
        label = f", {between[-extra]} {number}" if value.shape[1] > 1 else ""
        parts |= _apart(title + label, part, between)
    return parts


def image_of(axis: Axes, values_TN: np.ndarray, what: str, kind: str) -> AxesImage:
    """Draw values between 0 (-1 for a hidden state) and 1; masked fields stay grey, for nothing is asked there."""
    colours = LinearSegmentedColormap.from_list(kind, COLOURS[kind])
    low = -1 if kind == "hidden" else 0
    axis.set_facecolor("#eef1f3")
    image = axis.imshow(values_TN.T, aspect="auto", interpolation="nearest", cmap=colours, vmin=low, vmax=1)
    steps, rows = values_TN.shape
    if max(steps, rows) <= GRID_FIELDS:
        axis.vlines(np.arange(1, steps) - 0.5, -0.5, rows - 0.5, color="#eef1f3", linewidth=0.4)
        axis.hlines(np.arange(1, rows) - 0.5, -0.5, steps - 0.5, color="#eef1f3", linewidth=0.4)
    axis.set_ylabel(what)
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True) if rows > 1 else NullLocator())
    return image


def lines_of(axis: Axes, values_TN: np.ndarray, **style: Any) -> None:
    """Draw a line over time for each of N numbers."""
    axis.plot(values_TN, linewidth=1, marker=".", markersize=2, **style)
    axis.set_xlim(-0.5, len(values_TN) - 0.5)


def _frame_answers(axis: Axes, asked_T: np.ndarray) -> None:
    """Thin lines where a run of answered steps begins and ends."""
    asked = np.concatenate([[False], asked_T, [False]])
    for edge in np.flatnonzero(asked[1:] != asked[:-1]):
        axis.axvline(edge - 0.5, color=INK, linewidth=0.6, linestyle=(0, (2, 2)))


def rotation(words: Sequence[str]) -> int:
    """Degrees: words beside each other stand upright, single characters do not."""
    return 90 if max(map(len, words), default=0) > 2 else 0


def _label_height(sample: Sample) -> float:
    """Inches that words below the time axis take beyond those of a few letters."""
    longest = max(map(len, spelt(sample)), default=0)
    return max(0.0, 0.07 * longest - 0.4) if len(sample.answers.asked_T) <= LABELLED_STEPS else 0.0


def _label_time(axis: Axes, sample: Sample) -> None:
    steps = len(sample.answers.asked_T)
    axis.tick_params(labelbottom=True)
    words = spelt(sample)
    if words and steps <= LABELLED_STEPS:
        axis.set_xticks(range(steps), words, rotation=rotation(words))
        axis.set_xlabel("input, word by word (dashed: where answers begin and end)")
    else:
        axis.xaxis.set_major_locator(MaxNLocator(20, integer=True))
        axis.set_xlabel("step (dashed: where answers begin and end)")
