"""Every step of the algorithmic tasks against a slow oracle that fills one row at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from torchmann import tasks


def empty(task, steps):
    return {
        "inputs": torch.zeros(steps, task.input_size),
        "targets": torch.zeros(steps, task.output_size),
        "answer_mask": torch.zeros(steps, dtype=torch.bool),
        "refresh_mask": torch.zeros(steps, dtype=torch.bool),
    }


def channels(task, flags_first):
    """Start of the data in inputs and in targets, and the two flag channels."""
    if flags_first:
        return 2, task.output_size - task.bits, 0, 1
    return 0, 0, task.bits, task.bits + 1


def copy_row(task, row_inputs, length, steps):
    into, out, opening, closing = channels(task, task.flags_first)
    count = (length - 2) // 2
    row = empty(task, steps)
    row["inputs"][0, opening] = 1
    row["inputs"][count + 1, closing] = 1
    for k in range(count):
        vector = row_inputs[1 + k, into : into + task.bits]
        row["inputs"][1 + k, into : into + task.bits] = vector
        row["targets"][count + 2 + k, out : out + task.bits] = vector
        row["refresh_mask"][1 + k] = True
        row["answer_mask"][count + 2 + k] = True
    return row


def repeat_copy_row(task, row_inputs, length, steps):
    row = empty(task, steps)
    count = int(row_inputs[:, task.bits + 1].nonzero().item()) - 1  # where the number of repeats is shown
    repeats = (length - 3) // count - 1
    row["inputs"][0, task.bits] = 1
    row["inputs"][count + 1, task.bits + 1] = (repeats - task.repeat_offset) / task.repeat_scale
    for k in range(count):
        row["inputs"][1 + k, : task.bits] = row_inputs[1 + k, : task.bits]
        row["refresh_mask"][1 + k] = True
    step = count + 2
    for _ in range(repeats):
        for k in range(count):
            row["targets"][step, : task.bits] = row_inputs[1 + k, : task.bits]
            step += 1
    row["targets"][step, task.bits] = 1
    row["answer_mask"][count + 2 : step + 1] = True
    assert step + 1 == length
    return row


def recall_row(task, row_inputs, row_targets, length, steps):
    into, out, opening, asking = channels(task, task.flags_first)
    data, answer = slice(into, into + task.bits), slice(out, out + task.bits)
    row = empty(task, steps)
    items, step, size = [], 0, task.item_length
    while row_inputs[step, opening] == 1:
        row["inputs"][step, opening] = 1
        items.append(row_inputs[step + 1 : step + 1 + size, data])
        row["inputs"][step + 1 : step + 1 + size, data] = items[-1]
        row["refresh_mask"][step + 1 : step + 1 + size] = True
        step += size + 1
    queries = 0
    while step < length:
        row["inputs"][step, asking] = row["inputs"][step + size + 1, asking] = 1
        shown = row_inputs[step + 1 : step + 1 + size, data]
        step += size + 2
        asked = row_targets[step : step + size, answer]
        pairs = pairwise(items)
        assert any(torch.equal(shown, this) and torch.equal(asked, following) for this, following in pairs)
        row["inputs"][step - size - 1 : step - 1, data] = shown
        row["targets"][step : step + size, answer] = asked
        row["answer_mask"][step : step + size] = True
        step += size
        queries += 1
    assert step == length
    assert task.min_items <= len(items) <= task.max_items
    assert 1 <= queries <= (task.max_queries or len(items))
    return row


def expected_row(task, batch, index, steps):
    length, inputs = int(batch.lengths[index]), batch.inputs[:, index]
    if isinstance(task, tasks.Copy):
        return copy_row(task, inputs, length, steps)
    if isinstance(task, tasks.RepeatCopy):
        return repeat_copy_row(task, inputs, length, steps)
    return recall_row(task, inputs, batch.targets[:, index], length, steps)


@pytest.mark.parametrize("name", [name for name in tasks.names() if name.startswith(("copy", "repeat-copy", "recall"))])
def test_every_step_of_every_preset(name):
    task = tasks.make(name)
    for index in range(3):
        batch = task.batch(index, 7, seed=5)
        steps = batch.inputs.shape[0]
        for b in range(7):
            for field, expected in expected_row(task, batch, b, steps).items():
                torch.testing.assert_close(getattr(batch, field)[:, b], expected, msg=f"{name} {field} row {b}")


def test_copy_in_full():
    """Two vectors of two bits, all written out: start flag, data, end flag, answer."""
    batch = tasks.make("copy", bits=2, min_length=2, max_length=2).batch(0, 1, seed=0)
    (a, b), (c, d) = batch.inputs[1:3, 0, :2].tolist()
    assert batch.inputs[:, 0].tolist() == [[0, 0, 1, 0], [a, b, 0, 0], [c, d, 0, 0], [0, 0, 0, 1]] + [[0] * 4] * 2
    assert batch.targets[:, 0].tolist() == [[0, 0]] * 4 + [[a, b], [c, d]]
    assert batch.answer_mask[:, 0].tolist() == [False] * 4 + [True] * 2
    assert batch.refresh_mask[:, 0].tolist() == [False, True, True, False, False, False]
    assert batch.refresh_target[1:3, 0].tolist() == [[a, b], [c, d]]
    assert batch.first_answer_step == 4


def test_flags_first_with_flag_targets_in_full():
    task = tasks.make("copy", bits=2, min_length=1, max_length=1, flags_first=True, flag_targets=True)
    batch = task.batch(0, 1, seed=0)
    a, b = batch.inputs[1, 0, 2:].tolist()
    assert batch.inputs[:, 0].tolist() == [[1, 0, 0, 0], [0, 0, a, b], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert batch.targets[:, 0].tolist() == [[0, 0, 0, 0]] * 3 + [[0, 0, a, b]]


def test_repeat_copy_in_full():
    """The DeepMind layout: bits, start marker, repeats / 10; target: bits, end marker."""
    task = tasks.make("repeat-copy/dma", bits=1, min_length=2, max_length=2, min_repeats=2)
    batch = task.batch(0, 1, seed=3)
    (a,), (b,) = batch.inputs[1:3, 0, :1].tolist()
    shown = [[0, 1, 0], [a, 0, 0], [b, 0, 0], [0, 0, 0.2]]
    torch.testing.assert_close(batch.inputs[:, 0], torch.tensor(shown + [[0, 0, 0]] * 5))
    assert batch.targets[:, 0].tolist() == [[0, 0]] * 4 + [[a, 0], [b, 0], [a, 0], [b, 0], [0, 1]]
    assert batch.answer_mask[:, 0].tolist() == [False] * 4 + [True] * 5


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "loss"),
    [
        ("copy", 8, 6, "bit"),
        ("copy/dam", 10, 10, "step"),
        ("copy/armin", 10, 8, "bit"),
        ("copy/ntm", 10, 10, "episode"),
        ("repeat-copy/armin", 10, 9, "bit"),
        ("repeat-copy/dma", 6, 5, "episode"),
        ("recall/dam", 10, 10, "step"),
        ("recall/armin", 8, 6, "bit"),
        ("recall/ntm", 10, 10, "episode"),
    ],
)
def test_sizes_and_loss_of_the_papers(name, inputs, outputs, loss):
    task = tasks.make(name)
    assert (task.input_size, task.output_size, task.refresh_size) == (inputs, outputs, 0)
    assert task.normalisation == loss


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("copy", {2 * n + 2 for n in range(1, 7)}),
        ("copy/dam", {2 * n + 2 for n in range(8, 33)}),
        ("copy/armin", {2 * n + 2 for n in range(1, 50)}),
        ("copy/ntm", {2 * n + 2 for n in range(1, 21)}),
        ("repeat-copy/armin", {n * (r + 1) + 3 for n in range(1, 10) for r in range(1, 10)}),
        ("repeat-copy/dma", {n * (r + 1) + 3 for n in (1, 2) for r in (1, 2)}),
        ("recall/dam", {4 * (n + 2) for n in range(2, 9)}),
        ("recall/armin", {4 * (n + 2) for n in range(2, 6)}),
        ("recall/ntm", {4 * (n + 2 * q) for n in range(2, 7) for q in range(1, n + 1)}),
    ],
)
def test_ranges_of_the_papers_are_reached_and_kept(name, lengths):
    batch = tasks.make(name).batch(0, 4000, seed=1)
    assert set(batch.lengths.tolist()) == lengths


@pytest.mark.parametrize(("name", "offset", "scale"), [("armin", 4.5, math.sqrt(8.25)), ("dma", 0, 10)])
def test_shown_number_of_repeats(name, offset, scale):
    task = tasks.make(f"repeat-copy/{name}")
    batch = task.batch(0, 2000, seed=0)
    shown = batch.inputs[:, :, -1].sum(0)  # it is shown at one step
    expected = {(r - offset) / scale for r in range(task.min_repeats, task.max_repeats + 1)}
    torch.testing.assert_close(shown.unique().double(), torch.tensor(sorted(expected), dtype=torch.float64))


def test_recall_queries_are_uniform_over_all_items_but_the_last():
    task = tasks.make("recall", bits=12, min_items=4, max_items=4)
    batch = task.batch(0, 3000, seed=0)
    items = batch.inputs[:16, :, :12].view(4, 4, 3000, 12)[:, 1:]
    query = batch.inputs[17:20, :, :12]
    which = (items == query).all(-1).all(1).float()  # [item, row]
    counts = which.sum(1)
    assert counts[3] == 0
    assert counts[:3].sum() == 3000
    assert counts[:3].min() > 900


def test_bits_are_fair_and_differ_between_rows():
    batch = tasks.make("copy/dam").batch(0, 64, seed=0)
    data = batch.inputs[..., :8][batch.refresh_mask]
    assert abs(data.mean() - 0.5) < 0.02
    assert len(data.unique(dim=0)) > 200


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("copy", ["length 12", "length 24"]),
        ("repeat-copy/dma", ["length 4", "repeats 4"]),
        ("recall/dam", ["items 16", "items 32"]),
    ],
)
def test_longer_forms(name, labels):
    task = tasks.make(name)
    longer = task.longer()
    assert list(longer) == labels
    for label, form in longer.items():
        assert form.normalisation == task.normalisation
        kind, size = label.split()
        lengths = form.batch(0, 20, seed=0).lengths
        if kind == "length" and name == "copy":
            assert lengths.unique().tolist() == [2 * int(size) + 2]
        if kind == "items":
            assert lengths.unique().tolist() == [4 * (int(size) + 2)]
