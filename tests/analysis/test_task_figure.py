from __future__ import annotations

import pytest
import torch
from matplotlib import pyplot

from torchmann import tasks
from torchmann.analysis.task_figure import task_figure, task_samples, told

NAMES = ("copy", "double", "sinusoid", "nth-farthest", "markov")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_task_is_drawn(name):
    task = tasks.make(name)
    rows = task_samples(task, 2, seed=1)
    assert [row.batch_size for row in rows] == [1, 1]
    figure = task_figure(task, rows[0], "a title")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    panels = ["targets", "steps that are answered, and steps that memory refreshing may ask for"]
    shown = [title for title in titles if title and not title.startswith("inputs")]
    assert shown == panels
    assert any(title.startswith("inputs") for title in titles) == (task.input_kind == "vector")
    pyplot.close(figure)


def test_sequences_are_those_of_the_task_cut_at_their_length():
    task = tasks.make("copy")
    batch = task.batch(0, 3, seed=4, split="validation")
    rows = task_samples(task, 3, seed=4, split="validation")
    for number, row in enumerate(rows):
        length = int(batch.lengths[number])
        assert len(row.inputs) == length and torch.equal(row.inputs[:, 0], batch.inputs[:length, number])


def test_words_are_told_with_the_steps_of_their_answers():
    task = tasks.make("markov", steps=4)
    row = task_samples(task, 1)[0]
    read, wanted = row.inputs[:, 0].tolist(), row.targets[:, 0].tolist()
    assert told(task, row).splitlines() == [
        "4 steps, 4 of them answered",
        "reads:  " + " ".join(map(str, read)),
        "wanted: " + " ".join(f"{word}@{step}" for step, word in enumerate(wanted)),
    ]


def test_long_texts_are_cut():
    task = tasks.make("markov", steps=2000)
    assert max(map(len, told(task, task_samples(task, 1)[0]).splitlines())) < 500


def test_vectors_are_not_told_in_words():
    task = tasks.make("copy")
    (row,) = task_samples(task, 1)
    steps = int(row.lengths)
    assert told(task, row) == f"{steps} steps, {steps // 2 - 1} of them answered"
