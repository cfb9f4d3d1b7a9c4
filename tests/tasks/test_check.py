"""`check_task` must find each breach of the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from torchmann import tasks


class Broken(tasks.Copy):
    """A copy task whose batches are changed by a function."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def batch(self, index, batch_size, *, seed, split="train"):
        return self.change(super().batch(index, batch_size, seed=seed, split=split))

    def longer(self):
        return {}


def set_padding(name):
    def change(batch):
        value = getattr(batch, name).clone()
        shortest = int(batch.lengths.argmin())
        value[int(batch.lengths[shortest]) :, shortest] = 1
        return replace(batch, **{name: value})

    return change


def draw_globally(batch):
    torch.rand(1)
    return batch


def redraw(batch):
    return replace(batch, inputs=batch.inputs * torch.rand(()))


CHANGES = {
    "inputs must be torch.float32": lambda b: replace(b, inputs=b.inputs.double()),
    "targets must be torch.float32": lambda b: replace(b, targets=b.targets[..., :-1]),
    "lengths must be int64": lambda b: replace(b, lengths=b.lengths.int()),
    "must be the longest length": lambda b: replace(b, lengths=b.lengths - 1),
    "every length must be at least 1": lambda b: replace(b, lengths=b.lengths * 0),
    "inputs must be zero": set_padding("inputs"),
    "targets must be zero": set_padding("targets"),
    "answer_mask must be zero": set_padding("answer_mask"),
    "refresh_mask must be zero": set_padding("refresh_mask"),
    "answer_mask must be bool": lambda b: replace(b, answer_mask=b.answer_mask.float()),
    "every row must answer": lambda b: replace(
        b, answer_mask=b.answer_mask & (torch.arange(b.batch_size) > 0), targets=b.targets * 0
    ),
    "first_answer_step must be": lambda b: replace(b, first_answer_step=0),
    "target bits must be 0 or 1": lambda b: replace(b, targets=b.targets * 2),
    "refresh_kind": lambda b: replace(b, refresh_kind="words"),
    "refresh_target must be": lambda b: replace(b, refresh_target=b.inputs),
    "same batch at each call": redraw,
    "global random numbers": draw_globally,
}


def test_unchanged_task_passes():
    tasks.check_task(Broken(lambda batch: batch))


@pytest.mark.parametrize("message", CHANGES)
def test_broken_batches(message):
    with pytest.raises(AssertionError, match=message):
        tasks.check_task(Broken(CHANGES[message]))


class SameEverywhere(tasks.Copy):
    def batch(self, index, batch_size, *, seed, split="train"):
        return super().batch(0, batch_size, seed=seed)


class LossOverPadding(tasks.Copy):
    def loss(self, output_TBO, batch):
        return output_TBO.square().mean()


class NoLoss(tasks.Copy):
    def loss(self, output_TBO, batch):
        return (output_TBO * 0).sum()


class ScoresPadding(tasks.Copy):
    def scores(self, output_TBO, batch):
        return super().scores(output_TBO, replace(batch, answer_mask=torch.ones_like(batch.answer_mask)))


class MetricMissing(tasks.Copy):
    metric = "accuracy"


class Generous(tasks.Copy):
    def scores(self, output_TBO, batch):
        total, weight = super().scores(output_TBO, batch)["bit_accuracy"]
        return {"bit_accuracy": tasks.Score(weight, weight)}


class Wider(tasks.Copy):
    def longer(self):
        return {"wider": tasks.Copy(bits=7)}


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (SameEverywhere, "another index must give a batch other than the first training batch"),
        (LossOverPadding, "loss must depend on the answered steps only"),
        (NoLoss, "loss must depend on the output"),
        (ScoresPadding, "must depend on the answered steps only"),
        (MetricMissing, "scores must contain the metric 'accuracy'"),
        (Generous, "a wrong output must score bit_accuracy below 1"),
        (Wider, r"longer\(\)\['wider'\] must have the kinds, sizes"),
    ],
)
def test_broken_tasks(cls, message):
    with pytest.raises(AssertionError, match=message):
        tasks.check_task(cls())
