"""What a task shows and asks: a few of its sequences, in words or as a picture, before any model has seen them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchmann.analysis.recording import row_of
from torchmann.analysis.sample import Sample, sample_of, spelt
from torchmann.analysis.sample_figure import (
    LABELLED_STEPS,
    Panel,
    figure_of,
    image_of,
    input_panels,
    lines_of,
    rotation,
)
from torchmann.analysis.style import INK
from torchmann.tasks import Batch, Task

LINE = 110
"""Characters of a printed line."""


def task_samples(task: Task, count: int, *, seed: int = 0, split: str = "train") -> list[Batch]:
    """The first sequences of a split, each as a batch of one, cut at its own length."""
    batch = task.batch(0, count, seed=seed, split=split)
    return [row_of(batch, row) for row in range(batch.batch_size)]


def task_figure(task: Task, row: Batch, title: str) -> Figure:
    """Draw one sequence: inputs, what is asked for and when, and what memory refreshing may ask for.

    Args:
        task: of the sequence.
        row: a batch of one sequence, of `task_samples`.
        title: says which task it is.
    """
    sample = sample_of(task, row)
    return figure_of(sample, [*input_panels(sample), *_wanted_panels(sample), _masks(row)], title)


def told(task: Task, row: Batch) -> str:
    """One sequence in words, as far as it is made of words: what is read, and what is to be answered where."""
    sample = sample_of(task, row)
    asked = sample.answers.asked_T.nonzero().squeeze(-1).tolist()
    lines = [f"{len(sample.answers.asked_T)} steps, {len(asked)} of them answered"]
    words = spelt(sample)
    if words:
        parted = " | " if sample.inputs.dim() > 1 else " "
        lines.append("reads:  " + _short(parted.join(words)))
    if sample.classes:
        wanted = [sample.classes[place] for place in sample.answers.wanted[sample.answers.asked_T].tolist()]
        lines.append("wanted: " + _short(" ".join(f"{word}@{step}" for step, word in zip(asked, wanted, strict=True))))
    return "\n".join(lines)


def _short(text: str) -> str:
    visible = text.replace("\n", "⏎")
    return visible if len(visible) <= 4 * LINE else f"{visible[: 4 * LINE]} …"


def _wanted_panels(sample: Sample) -> list[Panel]:
    """What is wanted at the steps that are asked for it."""
    answers = sample.answers
    if answers.alphabet != "words":
        asked_TO = answers.asked_T.unsqueeze(-1).expand_as(answers.wanted)
        wanted = np.ma.masked_where(~asked_TO.numpy(), answers.wanted.numpy())
        if answers.alphabet == "numbers":
            return [Panel("targets", 14, lambda axis: lines_of(axis, wanted, color=INK))]
        return [Panel("targets", wanted.shape[-1], lambda axis: image_of(axis, wanted, "channel", "bits"))]

    steps = answers.asked_T.nonzero().squeeze(-1).tolist()
    if len(answers.asked_T) > LABELLED_STEPS and len(steps) > 1:
        return [Panel("targets, by their number", 10, lambda axis: _classes_as_dots(axis, sample, steps))]

    words = [sample.classes[place] for place in answers.wanted[answers.asked_T].tolist()]

    def write(axis: Axes) -> None:
        for step, word in zip(steps, words, strict=True):
            axis.text(step, 0.5, word, rotation=rotation(words), ha="center", va="center", color=INK, fontsize=7)
        axis.set_xlim(-0.5, len(answers.asked_T) - 0.5)
        axis.set_yticks([])

    return [Panel("targets", 2 + max(map(len, words)), write)]


def _classes_as_dots(axis: Axes, sample: Sample, steps: Sequence[int]) -> None:
    axis.plot(steps, sample.answers.wanted[sample.answers.asked_T].numpy(), ".", color=INK, markersize=2)
    axis.set_xlim(-0.5, len(sample.answers.asked_T) - 0.5)


def _masks(row: Batch) -> Panel:
    """When something is asked for, and what may be refreshed."""
    masks_T2 = torch.stack([row.answer_mask[:, 0], row.refresh_mask[:, 0]], dim=-1).float().numpy()

    def draw(axis: Axes) -> None:
        image_of(axis, masks_T2, "", "usage")
        axis.set_yticks([0, 1], ["answer", "refresh"])

    return Panel("steps that are answered, and steps that memory refreshing may ask for", 3, draw)
