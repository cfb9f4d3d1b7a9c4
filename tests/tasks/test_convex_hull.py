"""Convex hulls against Andrew's monotone chain in plain Python, and the task against an oracle of one row."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.hull_files import line_of, write

from torchmann import tasks
from torchmann.core.errors import DataError, OptionError, ShapeError
from torchmann.tasks.check import perfect_output
from torchmann.tasks.convex_hull import GRID, convex_hull


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def monotone_chain(points):
    """Indices of the corners, counter-clockwise from the lowest and back to it."""
    first = {}
    for index, point in enumerate(points):
        first.setdefault(tuple(point), index)
    ordered = sorted(first)

    def half(ordered):
        chain = []
        for point in ordered:
            while len(chain) > 1 and turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    walk = [first[point] for point in half(ordered) + half(ordered[::-1])] or [first[ordered[0]]]
    start = walk.index(min(walk))
    return walk[start:] + walk[: start + 1]


def unpadded(row):
    return [index for index in row.tolist() if index >= 0]


points_on_a_small_grid = st.integers(1, 9).flatmap(
    lambda count: st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=count, max_size=count),
        min_size=1,
        max_size=4,
    )
)


@given(rows=points_on_a_small_grid)
def test_hull_with_points_on_edges_and_equal_points(rows):
    hulls = convex_hull(torch.tensor(rows))
    assert [unpadded(row) for row in hulls] == [monotone_chain(row) for row in rows]


@pytest.mark.parametrize("points", [3, 5, 10, 20, 50])
def test_hull_of_uniform_points(points):
    drawn = torch.randint(2**29, (40, points, 2)) - 2**28
    hulls = convex_hull(drawn)
    for row, hull in zip(drawn.tolist(), hulls, strict=True):
        walk = unpadded(hull)
        assert walk == monotone_chain(row)
        assert hull.tolist()[len(walk) :] == [-1] * (len(hull) - len(walk))
        for a, b in pairwise(walk):  # by the definition: all others to the left of each edge
            assert all(turn(row[a], row[b], row[k]) > 0 for k in range(points) if k not in (a, b))


@pytest.mark.parametrize(
    ("points", "hull"),
    [
        ([(0, 0), (2, 0), (1, 0), (2, 2), (0, 2)], [0, 1, 3, 4, 0]),  # a point on an edge is no corner
        ([(1, 1), (0, 0), (0, 0), (3, 0), (0, 3)], [1, 3, 4, 1]),  # of equal points only the first
        ([(1, 1), (0, 0), (3, 3), (3, 3)], [1, 2, 1]),  # on one line: there and back
        ([(1, 1), (1, 1), (1, 1)], [0, 0]),
        # Three points that float64 takes for a line: exact numbers tell the turn.
        ([(0, 0), (2**28, 2**28 - 1), (2**28 - 1, 2**28 - 2)], [0, 2, 1, 0]),
    ],
)
def test_hulls_by_hand(points, hull):
    assert unpadded(convex_hull(torch.tensor([points]))[0]) == hull


@pytest.mark.parametrize("points", [torch.zeros(2, 3, 2), torch.zeros(3, 2).long(), torch.zeros(2, 0, 2).long()])
def test_hull_of_something_else(points):
    with pytest.raises(ShapeError, match=r"points must be int64 \[B, N, 2\] with N at least 1, got torch"):
        convex_hull(points)


def expected_row(task, points, labels, steps, encoding):
    """Inputs and targets of a row, filled step by step; the hull by the oracle."""
    width = task.labels + (1 if encoding == "dam" else 2)
    inputs, targets = [[0.0] * (2 + width) for _ in range(steps)], [0] * steps
    for step, ((x, y), label) in enumerate(zip(points, labels, strict=True)):
        inputs[step][:2] = x, y
        inputs[step][2 + label] = 1.0
    count = len(points)
    inputs[count if encoding == "dam" else count - 1][2] = 1.0
    hull = [labels[index] for index in monotone_chain([(Fraction(x), Fraction(y)) for x, y in points])]
    answer = [*hull, 0 if encoding == "dam" else task.labels + 1]
    targets[count + 1 : count + 1 + len(answer)] = answer
    return inputs, targets, count + 1 + len(answer)


def check_rows(task, batch, encoding):
    steps = batch.inputs.shape[0]
    for b in range(batch.batch_size):
        shown = batch.refresh_mask[:, b]
        count = int(shown.sum())
        assert shown[:count].all()
        rows = batch.inputs[:count, b]
        labels = rows[:, 3:].argmax(1).add(1).tolist()
        assert sorted(labels) == list(range(1, count + 1))
        inputs, targets, length = expected_row(task, rows[:, :2].tolist(), labels, steps, encoding)
        assert batch.inputs[:, b].tolist() == inputs
        assert batch.targets[:, b].tolist() == targets
        assert int(batch.lengths[b]) == length
        assert batch.answer_mask[:, b].tolist() == [count < step < length for step in range(steps)]


@pytest.mark.parametrize(("encoding", "inputs", "outputs"), [("dam", 23, 21), ("stm", 24, 22)])
def test_every_step_of_every_split(encoding, inputs, outputs):
    task = tasks.make("convex-hull", encoding=encoding)
    assert (task.input_size, task.output_size, task.refresh_size) == (inputs, outputs, inputs)
    for split in tasks.SPLITS:
        for index in range(4):
            batch = task.batch(index, 6, seed=1, split=split)
            check_rows(task, batch, encoding)
            assert torch.equal(batch.refresh_target, batch.inputs) and batch.refresh_kind == "l2"
            labels = batch.inputs[..., 3:].argmax(-1)[batch.refresh_mask.all(1)]
            in_order = torch.arange(len(labels)).unsqueeze(1).expand_as(labels)
            assert torch.equal(labels, in_order) == (split != "train")


def test_a_batch_has_one_number_of_points_and_all_numbers_come():
    task = tasks.make("convex-hull", min_points=4, max_points=7)
    counts = [task.batch(k, 3, seed=0).refresh_mask.sum(0).unique().tolist() for k in range(60)]
    assert {tuple(count) for count in counts} == {(4,), (5,), (6,), (7,)}


def test_points_are_uniform_and_exact_in_float32():
    batch = tasks.make("convex-hull", min_points=20).batch(0, 500, seed=0)
    points = batch.inputs[:20, :, :2]
    assert 0 <= points.min() < 0.001 and 0.999 < points.max() < 1
    assert abs(float(points.mean()) - 0.5) < 0.01
    assert abs(float(points.var()) - 1 / 12) < 0.01
    assert torch.equal(points, (points.double() * GRID).round().div(GRID).float())


def test_contract_and_longer_forms():
    task = tasks.make("convex-hull/stm", max_points=6, labels=15)
    tasks.check_task(task)
    assert list(task.longer()) == ["points 12"]
    longer = task.longer()["points 12"]
    check_rows(longer, longer.batch(0, 3, seed=0), "stm")
    assert longer.batch(0, 3, seed=0, split="test").refresh_mask.sum(0).tolist() == [12] * 3
    assert tasks.make("convex-hull").longer() == {}


def test_scores():
    """One wrong label spoils its sequence, and so does a missing end."""
    task = tasks.make("convex-hull")
    batch = task.batch(0, 4, seed=0)
    output, ends = perfect_output(task, batch), batch.lengths - 1
    output[batch.first_answer_step, 0] *= -1
    output[ends[1], 1] *= -1
    answered = int(batch.answer_mask.sum())
    scores = {name: tuple(map(float, score)) for name, score in task.scores(output, batch).items()}
    assert scores["sequence_accuracy"] == (2, 4)
    assert scores["position_accuracy"] == (answered - 2, answered)


def test_loss_of_the_paper_is_a_mean_over_padded_time():
    task = tasks.make("convex-hull/dam")
    batch = task.batch(0, 4, seed=0)
    assert int(task.divisor(batch)) == batch.answer_mask.numel()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_points": 2}, "3 <= min_points <= max_points"),
        ({"max_points": 21}, "labels must be at least max_points = 21, got 20"),
        ({"encoding": "rmc"}, "unknown encoding 'rmc'.*dam, stm"),
        ({"files": "train"}, "unknown choice of files 'train'.*all, none, test"),
        ({"data": "here"}, "data='here' is not read with files='none'"),
        ({"loss": "bit"}, "unknown loss 'bit'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("convex-hull", **options)


# Instances from files.


@pytest.fixture
def folder(tmp_path):
    """Hulls of 5 and of 6 points to test, and of 5 to 21 to train on."""
    grids = {count: torch.randint(100, (12, count, 2)) for count in (5, 6, 9, 21)}
    lines = {count: [line_of(row, monotone_chain(row)) for row in grid.tolist()] for count, grid in grids.items()}
    write(tmp_path, "convex_hull_5_test.txt", lines[5])
    write(tmp_path, "convex_hull_6_test.txt.gz", lines[6][:4])
    write(tmp_path, "convex_hull_5-50_train.txt", [*lines[21], *lines[9][:3], *lines[6], *lines[9][3:]])
    return tmp_path


def test_test_files_are_walked_through_in_order(folder):
    task = tasks.make("convex-hull", files="test", data=str(folder), allow_partial=True)
    tasks.check_task(task)
    assert [task.batches(split, 5) for split in tasks.SPLITS] == [None, None, 4]
    batches = [task.batch(k, 5, seed=k, split="test") for k in range(4)]
    assert [batch.refresh_mask.sum(0).tolist() for batch in batches] == [[5] * 5, [5] * 5, [5, 5, 6, 6, 6], [6]]
    for batch in batches:
        check_rows(task, batch, "dam")
    check_rows(task, task.batch(0, 3, seed=0), "dam")  # training is drawn
    with pytest.raises(OptionError, match="'test' has 16 instances, so no batch 4 of 5"):
        task.batch(4, 5, seed=0, split="test")


def test_training_takes_each_size_of_the_file_as_often(folder):
    task = tasks.make("convex-hull", files="all", data=str(folder), allow_partial=True)
    tasks.check_task(task)
    known = {tuple(row.flatten().tolist()) for row in task._read["train"].points_BN2.float()}
    sizes = []
    for index in range(100):
        batch = task.batch(index, 4, seed=0)
        check_rows(task, batch, "dam")
        [size] = batch.refresh_mask.sum(0).unique().tolist()
        sizes.append(size)
        for b in range(4):
            assert tuple(batch.inputs[:size, b, :2].flatten().tolist()) + (0.0,) * 2 * (9 - size) in known
    assert 35 < sizes.count(6) < 65 and sizes.count(6) + sizes.count(9) == 100


def test_a_test_file_alone_cannot_be_trained_on(folder):
    file = str(folder / "convex_hull_5_test.txt")
    assert tasks.make("convex-hull", files="test", data=file, allow_partial=True).batches("test", 1) == 12
    with pytest.raises(DataError, match=r"5_test.txt holds no file convex_hull_N_train.txt"):
        tasks.make("convex-hull", files="all", data=file, allow_partial=True)


@pytest.mark.skipif(
    not (Path(os.environ.get("TORCHMANN_DATA", "nowhere")) / "convex_hull").is_dir(),
    reason="TORCHMANN_DATA names no folder with convex_hull/",
)
def test_published_test_file():
    """All 10,000 hulls are ours, in the same order."""
    task = tasks.make("convex-hull", files="test")
    hulls = task._read["test"]
    assert torch.equal(convex_hull((hulls.points_BN2 * 1e8).round().long()), hulls.corners_BS)
    assert [int(((hulls.corners_BS >= 0).sum(1) == corners + 1).sum()) for corners in (3, 4, 5)] == [404, 3608, 5988]
    assert task.batches("test", 128) == 79
    check_rows(task, task.batch(78, 128, seed=0, split="test"), "dam")
