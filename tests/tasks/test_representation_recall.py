"""Representation recall against an oracle that reads one row step by step, and the hint in the released draw."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks.representation_recall import draw_distinct

SIZES = [(64, 8, 8), (64, 16, 8), (64, 2, 8), (64, 4, 3), (12, 4, 6), (20, 4, 1)]


def segments_of(vector, count):
    width = len(vector) // count
    return [tuple(vector[k * width : (k + 1) * width]) for k in range(count)]


def check_row(task, batch, b):
    """Every step of a row; returns the stored vectors as lists of segments, and which vector each query asked for."""
    inputs, targets = batch.inputs[:, b].int().tolist(), batch.targets[:, b].int().tolist()
    length, first, bits = int(batch.lengths[b]), task.vectors + 2, task.bits
    assert task.min_queries <= length - first <= task.max_queries
    width, nothing = bits // task.segments, [0] * task.bits
    assert inputs[0] == [*nothing, 1, 0]
    assert inputs[task.vectors + 1] == [*nothing, 0, 1]
    stored = []
    for step in range(1, task.vectors + 1):
        assert inputs[step][bits:] == [0, 0]
        stored.append(segments_of(inputs[step][:bits], task.segments))
    for segment in zip(*stored, strict=True):
        assert len(set(segment)) == task.vectors  # distinct, and neither all zeros nor all ones
        assert not {(0,) * width, (1,) * width} & set(segment)
    queried = []
    for step in range(first, length):
        assert inputs[step][bits:] == [0, 0]
        shown = segments_of(inputs[step][:bits], task.segments)
        removed = [k for k in range(task.segments) if not any(shown[k])]
        assert len(removed) == task.segments // 2
        kept = [k for k in range(task.segments) if k not in removed]
        [which] = [n for n, vector in enumerate(stored) if all(vector[k] == shown[k] for k in kept)]
        assert targets[step] == [bit for k in removed for bit in stored[which][k]]
        queried.append((which, tuple(removed)))
    for step, (shown, asked) in enumerate(zip(inputs, targets, strict=True)):
        answering, storing = first <= step < length, 1 <= step <= task.vectors
        assert batch.answer_mask[step, b] == answering
        assert batch.refresh_mask[step, b] == storing
        assert answering or not any(asked)
        assert step < length or not any(shown)
        assert batch.refresh_target[step, b].int().tolist() == (shown[:bits] if storing else nothing)
    return stored, queried


@pytest.mark.parametrize(("bits", "segments", "vectors"), SIZES)
@pytest.mark.parametrize("generator", ["shuffled", "released"])
def test_every_step(bits, segments, vectors, generator):
    options = {"bits": bits, "segments": segments, "vectors": vectors, "generator": generator}
    task = tasks.make("representation-recall", **options)
    tasks.check_task(task)
    batch = task.batch(0, 5, seed=3)
    assert batch.first_answer_step == vectors + 2
    for b in range(5):
        stored, _ = check_row(task, batch, b)
        ascending = [list(segment) == sorted(segment) for segment in zip(*stored, strict=True)]
        assert all(ascending) or generator == "shuffled"


def test_sizes_and_preset_of_the_paper():
    task = tasks.make("representation-recall/dam", segments=16)
    assert (task.input_size, task.output_size, task.refresh_size, task.vectors) == (66, 32, 64, 8)
    assert (task.generator, task.normalisation) == ("released", "step")
    assert tasks.make("representation-recall").generator == "shuffled"


def test_queries_reach_both_ends_and_every_vector_and_every_half():
    task = tasks.make("representation-recall", bits=24, segments=4)
    batch = task.batch(0, 300, seed=0)
    assert set((batch.lengths - 10).tolist()) == set(range(8, 17))
    queried = [query for b in range(300) for query in check_row(task, batch, b)[1]]
    vectors, halves = zip(*queried, strict=True)
    for values, count in ((vectors, 8), (halves, 6)):
        shares = [values.count(value) / len(values) for value in set(values)]
        assert len(shares) == count
        assert max(shares) - min(shares) < 0.03


def guess(task, batch):
    """Right bits of a guess that remembers nothing: each removed segment is taken for the mean of the kept ones."""
    asked = batch.inputs[10:, :, : task.bits].unflatten(-1, (task.segments, -1))
    powers = 2.0 ** torch.arange(asked.shape[-1] - 1, -1, -1)
    mean = (asked @ powers).sum(-1) / (task.segments // 2) / powers.sum()
    targets = batch.targets[10:].unflatten(-1, (task.segments // 2, -1))
    highest = (mean > 0.5).float().unsqueeze(-1) == targets[..., 0]
    return float(highest[batch.answer_mask[10:]].float().mean())


def test_the_released_draw_gives_away_bits_and_the_default_does_not():
    honest, released = tasks.make("representation-recall"), tasks.make("representation-recall/dam")
    assert abs(guess(honest, honest.batch(0, 200, seed=0)) - 0.5) < 0.02
    assert guess(released, released.batch(0, 200, seed=0)) > 0.8


@settings(max_examples=30)
@given(count=st.integers(1, 9), spare=st.integers(0, 5), seed=st.integers(0, 99))
def test_distinct_numbers(count, spare, seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_distinct(count, count + spare, (4, 3), generator)
    assert drawn.shape == (count, 4, 3)
    for row in drawn.flatten(1).T.tolist():
        assert len(set(row)) == count
        assert min(row) >= 0 and max(row) < count + spare


def test_every_order_of_distinct_numbers_is_equally_likely():
    drawn = draw_distinct(2, 4, (12_000,), torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn[0] * 4 + drawn[1], minlength=16).view(4, 4)
    assert not counts.diagonal().any()
    assert (counts[~torch.eye(4, dtype=torch.bool)] - 1000).abs().max() < 130


def test_distinct_numbers_of_a_wide_range_are_not_enumerated():
    drawn = draw_distinct(8, 2**32 - 2, (1000,), torch.Generator().manual_seed(0))
    assert drawn.min() >= 0 and 2**31 < drawn.max() < 2**32 - 2
    assert abs(float(drawn.double().mean()) / 2**32 - 0.5) < 0.02


def test_scores():
    task = tasks.make("representation-recall", bits=16, segments=4)
    batch = task.batch(0, 2, seed=0)
    output = tasks.check.perfect_output(task, batch)
    output[12, 0, 3] *= -1
    answered = int(batch.answer_mask.sum())
    scores = {name: tuple(map(float, score)) for name, score in task.scores(output, batch).items()}
    assert scores["bit_accuracy"] == (8 * answered - 1, 8 * answered)
    assert scores["position_accuracy"] == (answered - 1, answered)
    assert scores["sequence_accuracy"] == (1, 2)


def test_longer_forms():
    assert list(tasks.make("representation-recall").longer()) == ["queries 32", "vectors 16"]
    task = tasks.make("representation-recall/dam", segments=16)  # a segment has 14 values, too few for 16 vectors
    assert list(task.longer()) == ["queries 32"]
    longer = task.longer()["queries 32"]
    assert longer.batch(0, 3, seed=0).lengths.tolist() == [42] * 3
    assert (longer.segments, longer.generator, longer.normalisation) == (16, "released", "step")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": 3}, "segments must be even and divide bits, got segments=3 and bits=64"),
        ({"bits": 60}, "segments=8 and bits=60"),
        ({"segments": 32}, "at most 62 and give 8 vectors distinct values besides .*, got 64 / 32"),
        ({"bits": 128, "segments": 2}, "at most 62 .*, got 128 / 2"),
        ({"vectors": 0}, "vectors must be an integer of at least 1"),
        ({"min_queries": 17}, "min_queries <= max_queries, got min_queries=17"),
        ({"generator": "sorted"}, "unknown generator 'sorted'.*released, shuffled"),
        ({"loss": "word"}, "unknown loss 'word'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("representation-recall", **options)
