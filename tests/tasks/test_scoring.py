from __future__ import annotations

import math

import pytest
import torch

from torchmann import tasks
from torchmann.core.errors import ShapeError
from torchmann.tasks import scoring
from torchmann.tasks.check import perfect_output


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, 4, generator=generator)
    targets = torch.randint(0, 2, (5, 3, 4), generator=generator).float()
    mask = torch.rand(5, 3, generator=generator) < 0.6
    return logits, targets, mask


def normalise(losses, mask, how):
    return (losses * mask.unsqueeze(-1)).sum() / scoring.divisor(mask, losses.shape[-1], how)


@pytest.mark.parametrize("how", ["bit", "step", "episode"])
def test_bit_loss_against_loops(drawn, how):
    logits, targets, mask = drawn
    total, bits = 0.0, 0
    for t in range(5):
        for b in range(3):
            if mask[t, b]:
                for c in range(4):
                    p = 1 / (1 + math.exp(-float(logits[t, b, c])))
                    total -= math.log(p if targets[t, b, c] else 1 - p)
                    bits += 1
    expected = total / {"bit": bits, "step": 5 * 3, "episode": 3}[how]
    assert float(normalise(scoring.bit_losses(logits, targets), mask, how)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("how", ["word", "step", "episode"])
def test_word_loss_against_loops(drawn, how):
    logits, targets, mask = drawn
    classes = targets.sum(-1).long().clamp(max=3)
    total, words = 0.0, 0
    for t in range(5):
        for b in range(3):
            if mask[t, b]:
                exps = [math.exp(value) for value in logits[t, b].tolist()]
                total -= math.log(exps[classes[t, b]] / sum(exps))
                words += 1
    expected = total / {"word": words, "step": 5 * 3, "episode": 3}[how]
    assert float(normalise(scoring.word_losses(logits, classes).unsqueeze(-1), mask, how)) == pytest.approx(
        expected, rel=1e-5
    )


def test_half_precision_output_is_scored_in_float32(drawn):
    logits, targets, mask = drawn
    loss = scoring.bit_losses(logits.bfloat16(), targets).mean()
    assert loss.dtype == torch.float32


def test_bit_scores():
    """Three rows of two answered steps: all right; one bit wrong; wrong only where nothing is asked."""
    targets = torch.tensor([1.0, 0.0]).expand(3, 3, 2).clone()
    logits = (2 * targets - 1) * 0.1
    mask = torch.tensor([False, True, True]).unsqueeze(1).expand(3, 3)
    logits[1, 1, 0] = -3
    logits[0, 2] *= -1
    scores = scoring.bit_scores(logits, targets, mask)
    assert [float(value) for value in scores["bit_accuracy"]] == [11, 12]
    assert [float(value) for value in scores["sequence_accuracy"]] == [2, 3]
    total, weight = scores["bit_cross_entropy"]
    nats = 11 * math.log1p(math.exp(-0.1)) + math.log1p(math.exp(3))
    assert float(total / weight) == pytest.approx(nats / 12, rel=1e-5)
    assert [float(value) for value in scores["position_accuracy"]] == [5, 6]
    assert [float(value) for value in scores["vector_cross_entropy"]] == pytest.approx([nats, 6], rel=1e-5)
    assert [float(value) for value in scores["bits_per_sequence"]] == pytest.approx([nats / math.log(2), 3], rel=1e-5)


def test_class_scores():
    """Two rows of three steps, the first of which is not answered: all right; one class wrong."""
    targets = torch.tensor([[0, 0], [1, 2], [2, 1]])
    logits = torch.nn.functional.one_hot(targets, 3) * 2.0
    logits[0] *= -1
    logits[2, 1] = torch.tensor([2.0, 0.0, 0.0])
    mask = torch.tensor([False, True, True]).unsqueeze(1).expand(3, 2)
    scores = scoring.class_scores(logits, targets, mask)
    assert [float(value) for value in scores["position_accuracy"]] == [3, 4]
    assert [float(value) for value in scores["sequence_accuracy"]] == [1, 2]
    total = math.log(2 + math.exp(2))
    assert [float(value) for value in scores["cross_entropy"]] == pytest.approx([4 * total - 6, 4], rel=1e-5)


def test_value_scores():
    """Two rows: means 2 and 10, deviations 2 and 8; one error of 1, and one where nothing is asked."""
    targets = torch.tensor([[1.0, 8.0], [3.0, 12.0], [0.0, 0.0]]).unsqueeze(-1)
    output = targets + torch.tensor([[0.0, 1.0], [0.0, 0.0], [5.0, 5.0]]).unsqueeze(-1)
    mask = torch.tensor([[True, True], [True, True], [False, False]])
    scores = scoring.value_scores(output, targets, mask)
    assert [float(value) for value in scores["explained_variance"]] == [9, 10]
    assert [float(value) for value in scores["mean_squared_error"]] == [1, 4]


def test_a_logit_of_zero_is_not_a_one():
    scores = scoring.bit_scores(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert scores["bit_accuracy"].total == 0


def test_constant_flag_channels_do_not_flatter_the_scores():
    for name in ("copy/dam", "copy/ntm", "recall/ntm"):
        task = tasks.make(name)
        batch = task.batch(0, 4, seed=0)
        output = torch.full_like(batch.targets, -1.0)  # "all zeros" is right on the flags
        total, weight = task.scores(output, batch)["bit_accuracy"]
        assert weight == batch.answer_mask.sum() * 8
        assert total == weight - batch.targets[batch.answer_mask].sum()


def test_end_marker_of_repeat_copy_is_scored():
    task = tasks.make("repeat-copy/dma")
    batch = task.batch(0, 4, seed=0)
    output = perfect_output(task, batch)
    output[..., -1] = -1
    total, weight = task.scores(output, batch)["bit_accuracy"]
    assert weight - total == 4


def test_questions_against_loops():
    generator = torch.Generator().manual_seed(1)
    answer = torch.rand(40, 6, generator=generator) < 0.5
    right = torch.rand(40, 6, generator=generator) < 0.7
    right_B, asked_B = scoring.count_questions(right, answer)
    for b in range(6):
        questions = []
        for t in range(40):
            if answer[t, b]:
                if t == 0 or not answer[t - 1, b]:
                    questions.append(True)
                questions[-1] = questions[-1] and bool(right[t, b])
        assert (int(right_B[b]), int(asked_B[b])) == (sum(questions), len(questions))


def test_wrong_output_shape_is_named():
    task = tasks.make("copy")
    batch = task.batch(0, 2, seed=0)
    for method in (task.loss, task.scores):
        with pytest.raises(ShapeError, match=r"output must be \[T, B, O\] = .*got .*output_size=6"):
            method(torch.zeros(batch.inputs.shape[0], 2, 7), batch)
