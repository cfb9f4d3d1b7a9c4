from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchmann.core import OptionError
from torchmann.tasks import MarkovText, Task, check_task, make
from torchmann.tasks.check import perfect_output

PAIRS = list(product(range(3), repeat=2))


@pytest.mark.parametrize("task", [make("markov"), MarkovText(symbols=3, steps=7, length=100, regularity=0.5)])
def test_it_keeps_the_contract(task: Task) -> None:
    check_task(task)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(20, 300), steps=st.integers(1, 40), rows=st.integers(1, 6))
def test_the_rows_read_the_text_without_a_gap(length: int, steps: int, rows: int) -> None:
    """Each row its own part, batch after batch; every token but the first is predicted from the one before it."""
    task = MarkovText(symbols=4, steps=steps, length=length)
    count = next(index for index in range(1, 400) if task.position(index, rows) == 0)
    batches = [task.batch(index, rows, seed=3) for index in range(count)]
    inputs, targets = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "targets"))
    text = task.text("train", 3)
    used = (length - 1) // rows * rows
    assert torch.equal(inputs.T.flatten(), text[:used]) and torch.equal(targets.T.flatten(), text[1 : used + 1])
    starts = [task.position(index, rows) for index in range(count + 1)]
    assert starts == [*range(0, steps * count, steps), 0]
    assert torch.equal(task.batch(count, rows, seed=3).inputs, batches[0].inputs)


def test_a_held_out_text_ends() -> None:
    task = MarkovText(symbols=4, steps=8, length=500)
    assert task.batches("train", 3) is None and task.batches("test", 3) == 2
    assert [len(task.batch(index, 3, seed=0, split="test").inputs) for index in range(2)] == [8, 8]
    with pytest.raises(OptionError, match="split 'test' has no batch 2"):
        task.batch(2, 3, seed=0, split="test")
    with pytest.raises(OptionError, match="batch_size must be below 50, the tokens of split 'test', got 50"):
        task.batches("test", 50)


def test_splits_and_seeds_have_texts_of_their_own_in_one_language() -> None:
    task = MarkovText(symbols=3, length=20_000, regularity=0.8)
    texts = [task.text(split, seed).tolist() for split, seed in (("train", 0), ("train", 1), ("test", 0))]
    assert texts[0] != texts[1] and texts[0][:2000] != texts[2]
    languages = []
    for text in texts:
        follows = Counter(zip(text, text[1:], text[2:], strict=False))
        languages.append({pair: max(range(3), key=lambda after: follows[(*pair, after)]) for pair in PAIRS})
        shares = [follows[(*pair, languages[-1][pair])] / sum(follows[(*pair, i)] for i in range(3)) for pair in PAIRS]
        assert all(share == pytest.approx(0.8 + 0.2 / 3, abs=0.1) for share in shares)
    assert languages[0] == languages[1] == languages[2]


def test_scores_are_accuracy_and_bits() -> None:
    task = MarkovText(symbols=4, steps=6)
    batch = task.batch(0, 3, seed=0)
    scores = task.scores(torch.zeros(6, 3, 4), batch)
    assert scores["bits"].total / scores["bits"].weight == pytest.approx(math.log2(4))
    assert scores["accuracy"].weight == 18
    assert task.loss(torch.zeros(6, 3, 4), batch).item() == pytest.approx(math.log(4))
    assert task.scores(perfect_output(task, batch), batch)["bits"].total < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"length": 10}, "length must be at least 20"),
        ({"regularity": 1.5}, r"regularity must be in \[0, 1\]"),
        ({"symbols": 0}, "symbols must be"),
    ],
)
def test_bad_options_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        MarkovText(**options)  # type: ignore[arg-type]
