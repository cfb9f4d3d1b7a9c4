"""The tasks on symbols against what a slow oracle in plain Python answers to the symbols that are shown."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchmann import tasks
from torchmann.core.errors import OptionError


def answer(name: str, shown: list[int]) -> list[int]:
    half = len(shown) // 2
    return {
        "symbol-copy": shown,
        "double": shown + shown,
        "reverse": shown[::-1],
        "add": [math.floor((shown[i] + shown[-1 - i]) / 2) for i in range(half)],
        "max": [max(shown[2 * i : 2 * i + 2]) for i in range(half)],
    }[name]


NAMES = ["symbol-copy", "double", "reverse", "add", "max"]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_every_step_against_the_oracle(name, data):
    low = data.draw(st.integers(1, 6))
    high = data.draw(st.integers(low, 7))
    symbols = data.draw(st.integers(1, 12))
    task = tasks.make(name, min_length=low, max_length=high, symbols=symbols)
    batch = task.batch(0, 4, seed=data.draw(st.integers(0, 1000)))
    for b in range(4):
        rows = batch.inputs[:, b].tolist()
        length = [row[0] for row in rows].index(1)
        shown = [row.index(1) for row in rows[:length]]
        wanted = [*answer(name, shown), 0]
        assert low <= length <= high
        assert all(1 <= symbol <= symbols for symbol in shown)
        steps = length + 1 + len(wanted)
        assert batch.lengths[b] == steps
        assert all(sum(row) == 1 for row in rows[: length + 1])
        assert not any(any(row) for row in rows[length + 1 :])
        padding = len(rows) - steps
        assert batch.targets[:, b].tolist() == [0] * (length + 1) + wanted + [0] * padding
        assert batch.answer_mask[:, b].tolist() == [False] * (length + 1) + [True] * len(wanted) + [False] * padding
        assert batch.refresh_mask[:, b].tolist() == [True] * length + [False] * (len(rows) - length)
        assert batch.refresh_target[:length, b].tolist() == shown
    assert batch.first_answer_step == int(batch.answer_mask.any(1).int().argmax())


def test_add_in_full():
    """Four symbols: shown, terminator, two answers, terminator."""
    batch = tasks.make("add", min_length=4, max_length=4, symbols=3).batch(0, 1, seed=0)
    a, b, c, d = batch.inputs[:4, 0].argmax(-1).tolist()
    assert batch.inputs[4:, 0].tolist() == [[1, 0, 0, 0]] + [[0, 0, 0, 0]] * 3
    assert batch.targets[:, 0].tolist() == [0] * 5 + [(a + d) // 2, (b + c) // 2, 0]


@pytest.mark.parametrize(("name", "steps", "symbols"), [("add", 77, 9), ("double", 152, 9), ("max", 77, 50)])
def test_sizes_of_the_paper(name, steps, symbols):
    task = tasks.make(f"{name}/uw")
    batch = task.batch(0, 60, seed=0)
    assert task.story_steps == batch.first_answer_step == 51
    assert (task.input_size, task.output_size) == (symbols + 1, symbols + 1)
    assert batch.lengths.unique().tolist() == [steps]
    shown = batch.inputs[:50].argmax(-1)
    assert shown.unique().tolist() == list(range(1, symbols + 1))


def test_lengths_reach_both_ends():
    batch = tasks.make("reverse", min_length=2, max_length=5).batch(0, 400, seed=0)
    assert batch.lengths.unique().tolist() == [2 * length + 2 for length in (2, 3, 4, 5)]


def test_a_symbol_without_a_partner_is_not_asked_for():
    for name in ("add", "max"):
        batch = tasks.make(name, min_length=1, max_length=1).batch(0, 3, seed=0)
        assert batch.lengths.tolist() == [3] * 3
        assert batch.answer_mask[:, 0].tolist() == [False, False, True]


def test_longer_keeps_the_rule_and_the_symbols():
    longer = tasks.make("max", max_length=6, symbols=30).longer()
    assert list(longer) == ["length 12", "length 24"]
    assert all(type(task) is tasks.Max and task.symbols == 30 for task in longer.values())
    assert longer["length 24"].batch(0, 5, seed=0).lengths.tolist() == [24 + 12 + 2] * 5


def test_scores_count_the_terminator():
    task = tasks.make("symbol-copy", min_length=3, max_length=3)
    batch = task.batch(0, 2, seed=0)
    output = torch.nn.functional.one_hot(batch.targets, task.output_size).float() * 20
    output[-1, 0] = output[-2, 0]  # the first row ends with another symbol
    scores = {name: [float(part) for part in score] for name, score in task.scores(output, batch).items()}
    assert scores["position_accuracy"] == [7, 8]
    assert scores["sequence_accuracy"] == [1, 2]
    assert scores["cross_entropy"] == pytest.approx([20, 8], abs=1e-4)
    assert float(task.loss(output, batch)) == pytest.approx(20 / 8, abs=1e-4)


def test_bad_options():
    with pytest.raises(OptionError, match="1 <= min_length <= max_length, got min_length=0"):
        tasks.make("double", min_length=0)
    with pytest.raises(OptionError, match="symbols must be an integer of at least 1, got 0"):
        tasks.make("double", symbols=0)
