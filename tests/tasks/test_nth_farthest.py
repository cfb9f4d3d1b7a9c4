"""Nth farthest against an oracle that sorts the distances of one row."""

from __future__ import annotations

import math

import pytest
import torch

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks.check import perfect_output


def asked(task, batch, b):
    """What a row shows: points by label in order of time, n and m; checks what every step must have in common."""
    count, points, shown = task.vectors, {}, set()
    for row in batch.inputs[:, b].tolist():
        point, rest = row[: task.dimensions], row[task.dimensions :]
        label, n, m = (rest[k * count : (k + 1) * count] for k in range(3))
        for one_hot in (label, n, m):
            assert sorted(one_hot) == [0] * (count - 1) + [1]
        assert all(-1 < value < 1 for value in point)
        points[label.index(1)] = point
        shown.add((n.index(1), m.index(1)))
    assert len(points) == count
    [(n, m)] = shown  # the same at every step
    return points, n, m


@pytest.mark.parametrize(("vectors", "dimensions"), [(8, 16), (4, 1), (2, 3)])
@pytest.mark.parametrize("split", tasks.SPLITS)
def test_every_step(vectors, dimensions, split):
    task = tasks.make("nth-farthest", vectors=vectors, dimensions=dimensions)
    tasks.check_task(task)
    batch = task.batch(0, 40, seed=4, split=split)
    assert batch.inputs.shape == (vectors, 40, task.input_size)
    for b in range(40):
        points, n, m = asked(task, batch, b)
        farthest_first = sorted(points, key=lambda label: -math.dist(points[label], points[m]))
        expected = [0] * (vectors - 1) + [farthest_first[n]]
        assert batch.targets[:, b].tolist() == expected
        assert n < vectors - 1 or farthest_first[n] == m
    assert batch.answer_mask.all(1).tolist() == [False] * (vectors - 1) + [True]
    assert batch.answer_mask.sum() == 40
    assert batch.refresh_mask.all() and batch.refresh_kind == "l2"
    assert torch.equal(batch.refresh_target, batch.inputs)
    assert batch.first_answer_step == task.story_steps == vectors - 1


def test_sizes_and_preset_of_the_paper():
    task = tasks.make("nth-farthest/dam")
    assert (task.input_size, task.output_size, task.refresh_size) == (40, 8, 40)
    assert (task.held_out, task.normalisation) == (3200, "step")
    assert int(task.divisor(task.batch(0, 5, seed=0))) == 8 * 5


def test_labels_n_and_m_are_uniform():
    batch = tasks.make("nth-farthest").batch(0, 8000, seed=0)
    first_label, n, m = batch.inputs[0, :, 16:].unflatten(-1, (3, 8)).sum(0)
    answers = batch.targets[-1].bincount(minlength=8)
    for counts in (first_label, n, m, answers):
        assert len(counts) == 8 and counts.sum() == 8000
        assert (counts - 1000).abs().max() < 120
    assert abs(float(batch.inputs[..., :16].mean())) < 0.01
    assert abs(float(batch.inputs[..., :16].abs().mean()) - 0.5) < 0.01


def test_two_in_vectors_are_right_without_comparing_distances():
    """Answer m where n is the last, and any other label elsewhere: 1/8 + 7/8 * 1/7."""
    task = tasks.make("nth-farthest")
    batch = task.batch(0, 8000, seed=0)
    n, m = (batch.inputs[-1, :, start : start + 8] for start in (24, 32))
    last = n[:, 7:] == 1
    output = torch.zeros(8, 8000, 8)
    output[-1] = torch.where(last, m, torch.rand(8000, 8) - m)
    total, weight = task.scores(output, batch)["accuracy"]
    assert abs(float(total / weight) - 2 / 8) < 0.02


def test_held_out_examples_are_few_and_the_same_for_every_seed_and_batch_size():
    task = tasks.make("nth-farthest")
    assert [task.batches(split, 1600) for split in tasks.SPLITS] == [None, 2, 2]
    assert [task.batches("test", size) for size in (1, 3000, 3200, 9999)] == [3200, 2, 1, 1]
    whole = task.batch(0, 3200, seed=0, split="test")
    parts = [task.batch(k, 1500, seed=1, split="test") for k in range(3)]
    assert [part.batch_size for part in parts] == [1500, 1500, 200]
    assert torch.equal(torch.cat([part.inputs for part in parts], 1), whole.inputs)
    assert torch.equal(torch.cat([part.targets for part in parts], 1), whole.targets)
    assert not torch.equal(whole.inputs, task.batch(0, 3200, seed=0, split="validation").inputs)
    with pytest.raises(OptionError, match="'test' has 3200 examples, so no batch 3 of 1500"):
        task.batch(3, 1500, seed=0, split="test")


def test_score():
    task = tasks.make("nth-farthest", vectors=3)
    batch = task.batch(0, 5, seed=0)
    output = perfect_output(task, batch)
    output[-1, 2] *= -1
    output[0] = 9  # nothing is asked there
    assert [float(part) for part in task.scores(output, batch)["accuracy"]] == [4, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vectors": 1}, "vectors must be at least 2, got 1"),
        ({"dimensions": 0}, "dimensions must be an integer of at least 1"),
        ({"held_out": 0}, "held_out must be an integer of at least 1"),
        ({"loss": "bit"}, "unknown loss 'bit'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("nth-farthest", **options)
