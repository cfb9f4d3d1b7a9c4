from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks.ngram import draw_sequences, optimal_logits


@given(context=st.integers(1, 4), low=st.integers(1, 12), more=st.integers(0, 6), seed=st.integers(0, 1000))
def test_layout_and_optimum_against_loops(context, low, more, seed):
    low += context
    task = tasks.make("ngram", context=context, min_length=low, max_length=low + more)
    batch = task.batch(0, 4, seed=seed)
    optimal = optimal_logits(batch, context)
    nats, right, asked = 0.0, 0, 0
    for b in range(4):
        steps = int(batch.lengths[b])
        assert low - 1 <= steps <= low + more - 1
        bits = batch.inputs[:steps, b, 0].int().tolist()
        assert batch.answer_mask[:, b].tolist() == [context - 1 <= t < steps for t in range(len(batch.inputs))]
        assert batch.refresh_mask[:, b].tolist() == [t < steps for t in range(len(batch.inputs))]
        seen: Counter[tuple[tuple[int, ...], int]] = Counter()
        for t in range(context - 1, steps):
            following = int(batch.targets[t, b, 0])
            if t + 1 < steps:
                assert following == bits[t + 1]
            key = tuple(bits[t - context + 1 : t + 1])
            ones, zeros = seen[key, 1], seen[key, 0]
            probability = (ones + 0.5) / (ones + zeros + 1)
            assert float(optimal[t, b, 0].sigmoid()) == pytest.approx(probability, rel=1e-5)
            nats -= math.log(probability if following else 1 - probability)
            right += (ones > zeros) == bool(following)
            asked += 1
            seen[key, following] += 1
    scores = task.scores(torch.zeros_like(batch.targets), batch)
    values = {name: [float(part) for part in score] for name, score in scores.items()}
    assert values["bits_per_sequence"] == pytest.approx([asked, 4])  # a coin's cost is one bit for each
    assert values["bit_cross_entropy"] == pytest.approx([asked * math.log(2), asked])
    assert values["optimal_bit_cross_entropy"] == pytest.approx([nats, asked], rel=1e-4)
    assert values["optimal_bits_per_sequence"] == pytest.approx([nats / math.log(2), 4], rel=1e-4)
    assert values["optimal_bit_accuracy"] == [right, asked]


def test_probabilities_are_of_the_arcsine_law():
    """How often a one follows each context of long sequences: Beta(1/2, 1/2) has mean 1/2 and variance 1/8."""
    bits = draw_sequences(2000, 300, 1, torch.Generator().manual_seed(0))
    after = bits[1:]
    shares = torch.cat(
        [
            ((after * (bits[:-1] == value)).sum(0) / (bits[:-1] == value).sum(0))[(bits[:-1] == value).sum(0) > 200]
            for value in (0, 1)
        ]
    )
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert shares.var() == pytest.approx(1 / 8, abs=0.025)
    assert (shares < 0.1).float().mean() == pytest.approx(2 / math.pi * math.asin(math.sqrt(0.1)), abs=0.06)


def test_bits_depend_on_the_whole_context_and_on_nothing_else():
    """The share of ones after a context is the same in both halves of a sequence, and differs between contexts."""
    bits = draw_sequences(4000, 20, 3, torch.Generator().manual_seed(3)).int()
    number = 4 * bits[:-3] + 2 * bits[1:-2] + bits[2:-1]
    spread = []
    for row in range(20):
        for context in range(8):
            following = bits[3:, row][number[:, row] == context].float()
            if len(following) > 400:
                one, two = following.chunk(2)
                assert abs(one.mean() - two.mean()) < 0.2
                spread.append(float(following.mean()))
    assert len(spread) > 40
    assert max(spread) - min(spread) > 0.8


def test_first_bits_are_fair():
    bits = draw_sequences(6, 4000, 5, torch.Generator().manual_seed(0))
    assert bits[:5].mean(1).tolist() == pytest.approx([0.5] * 5, abs=0.04)


def test_preset_and_what_the_best_predictor_costs():
    task = tasks.make("ngram/ntm")
    batch = task.batch(0, 300, seed=0)
    assert batch.inputs.shape == (199, 300, 1)
    assert batch.first_answer_step == 4
    assert batch.answer_mask.sum() == 300 * 195
    total, weight = task.scores(torch.zeros_like(batch.targets), batch)["optimal_bits_per_sequence"]
    knowing = 195 * (2 - 1 / math.log(2))  # E[entropy] of Beta(1/2, 1/2) is 2 - 1 / ln 2 bits
    assert knowing * 0.9 < total / weight < 150


def test_no_prediction_is_better_than_the_optimal_one():
    task = tasks.make("ngram")
    batch = task.batch(0, 400, seed=0)
    best = optimal_logits(batch, task.context)
    for other in (best * 1.2, best * 0.8, best + 0.2, torch.zeros_like(best)):
        scores = task.scores(other, batch)
        assert scores["bits_per_sequence"].total > scores["optimal_bits_per_sequence"].total
    assert task.scores(best, batch)["bits_per_sequence"] == task.scores(best, batch)["optimal_bits_per_sequence"]


def test_lengths_reach_both_ends_and_longer_goes_on():
    task = tasks.make("ngram", context=1, min_length=4, max_length=7, loss="episode")
    assert task.batch(0, 200, seed=0).lengths.unique().tolist() == [3, 4, 5, 6]
    longer = task.longer()
    assert list(longer) == ["length 14", "length 28"]
    assert longer["length 28"].batch(0, 3, seed=0).lengths.tolist() == [27] * 3
    assert longer["length 28"].normalisation == "episode"


def test_bad_options():
    with pytest.raises(OptionError, match="context must be an integer of at least 1, got 0"):
        tasks.make("ngram", context=0)
    with pytest.raises(OptionError, match="3 <= min_length <= max_length, got min_length=2"):
        tasks.make("ngram", min_length=2)
