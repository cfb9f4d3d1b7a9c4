"""Memory refreshing: the loss of the paper by hand, its expectation, and its kinds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann import tasks
from torchmann.core import OptionError
from torchmann.tasks import Batch, Score, Task
from torchmann.training.refreshing import Refreshing, refresh_losses, split_output


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def copy_batch(batch_size: int = 4) -> tuple[Task, Batch, Tensor]:
    task = tasks.make("copy/dam", min_length=2, max_length=5)
    batch = task.batch(0, batch_size, seed=3)
    return task, batch, torch.randn(*batch.answer_mask.shape, task.output_size, generator=generator())


@pytest.mark.parametrize("gamma", ["sequence", "batch"])
@pytest.mark.parametrize("floor", [True, False])
def test_probability_zero_is_the_tasks_own_loss(gamma: str, floor: bool) -> None:
    task, batch, output = copy_batch()
    refreshed = Refreshing(0.0, gamma, floor).loss(task, output, batch, generator())
    torch.testing.assert_close(refreshed, task.loss(output, batch))


@pytest.mark.parametrize("gamma", ["sequence", "batch"])
@pytest.mark.parametrize("floor", [True, False])
def test_loss_of_the_paper_by_hand(gamma: str, floor: bool) -> None:
    task, batch, output = copy_batch()
    refreshing = Refreshing(0.4, gamma, floor)
    alpha = refreshing.sample(batch, generator(1))
    steps, rows = batch.answer_mask.shape
    total = 0.0
    for b in range(rows):
        over = range(rows) if gamma == "batch" else [b]
        weight = float(alpha[:, list(over)].sum() / batch.answer_mask[:, list(over)].sum())
        weight = max(1.0, weight) if floor else weight
        for t in range(steps):
            if batch.answer_mask[t, b]:
                step = F.binary_cross_entropy_with_logits(output[t, b], batch.targets[t, b], reduction="sum")
                total += weight * float(step)
            if alpha[t, b]:
                total += float(F.binary_cross_entropy_with_logits(output[t, b], batch.inputs[t, b], reduction="sum"))
    loss = refreshing.loss(task, output, batch, generator(1))
    assert float(loss) == pytest.approx(total / (steps * rows), rel=1e-5)


def test_only_marked_steps_are_reproduced_and_np_of_them_are_expected() -> None:
    _, batch, _ = copy_batch(2000)
    alpha = Refreshing(0.3).sample(batch, generator())
    assert not (alpha & ~batch.refresh_mask).any()
    stories = batch.refresh_mask.sum()
    assert float(alpha.sum() / stories) == pytest.approx(0.3, abs=0.02)
    assert Refreshing(1.0).sample(batch).equal(batch.refresh_mask)
    gamma = Refreshing(0.3, floor=False).weight(alpha, batch)
    assert float(gamma.mean()) == pytest.approx(0.3, abs=0.02), "copy answers as many steps as it shows: gamma is p"


def test_gamma_has_a_floor_of_one() -> None:
    _, batch, _ = copy_batch()
    alpha = Refreshing(0.5).sample(batch, generator())
    assert (Refreshing(0.5).weight(alpha, batch) == 1).all()
    long_story = replace(batch, refresh_mask=torch.ones_like(batch.refresh_mask))
    assert (Refreshing(1.0).weight(long_story.refresh_mask, long_story) > 1).all()


def test_a_sequence_without_an_answer_has_a_finite_loss() -> None:
    task, batch, output = copy_batch()
    silent = batch.answer_mask.clone()
    silent[:, 0] = False
    loss = Refreshing(1.0).loss(task, output, replace(batch, answer_mask=silent))
    assert loss.isfinite()


def test_gradient_reaches_the_answers_and_the_reproduced_steps_only() -> None:
    task, batch, output = copy_batch()
    output.requires_grad_()
    Refreshing(1.0).loss(task, output, batch).backward()
    assert output.grad is not None
    assert output.grad.any(-1).equal(batch.answer_mask | batch.refresh_mask)


class WithNumbers(Task):
    """Bits to answer, real numbers to reproduce: the output is widened."""

    input_kind = "vector"
    target_kind = "values"
    input_size, output_size, refresh_size, metric = 3, 2, 3, "right"

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        inputs = torch.randn(4, batch_size, 3, generator=generator(index))
        mask = torch.ones(4, batch_size, dtype=torch.bool)
        lengths = torch.full((batch_size,), 4)
        return Batch(inputs, inputs[..., :2].sign().clamp(min=0), lengths, mask, mask, inputs, "l2", 0)

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return (output_TBO - batch.targets).square().sum(-1)

    def divisor(self, batch: Batch) -> Tensor:
        return batch.answer_mask.sum()

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        return {}


def test_another_alphabet_widens_the_output() -> None:
    task = WithNumbers()
    batch = task.batch(0, 3, seed=0)
    output = torch.randn(4, 3, 5, generator=generator(7))
    answer, reproduced = split_output(task, output)
    assert answer.shape[-1] == 2 and reproduced.shape[-1] == 3
    perfect = torch.cat([batch.targets, batch.inputs], -1)
    assert Refreshing(1.0).loss(task, perfect, batch) == 0
    expected = (reproduced - batch.inputs).square().mean(-1)
    torch.testing.assert_close(refresh_losses(reproduced, batch), expected)


def test_tokens_are_reproduced_by_cross_entropy() -> None:
    _, batch, _ = copy_batch()
    tokens = torch.randint(0, 7, batch.answer_mask.shape, generator=generator())
    batch = replace(batch, refresh_kind="tokens", refresh_target=tokens)
    output = torch.randn(*tokens.shape, 7, generator=generator(2))
    expected = -output.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(refresh_losses(output, batch), expected)


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"in \[0, 1\], got 1.5"):
        Refreshing(1.5)
    with pytest.raises(OptionError, match="did you mean 'batch'"):
        Refreshing(0.1, "batsh")  # type: ignore[arg-type]
