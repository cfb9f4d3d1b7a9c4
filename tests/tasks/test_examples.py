"""Tasks on a data set: epochs, held-out splits, buckets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks import Batch, ExampleTask, Score

LENGTHS = torch.arange(1, 25)


class Numbered(ExampleTask):
    """Example n is a sequence of n + 1 steps; its class, at the last step, is n."""

    input_kind = "tokens"
    target_kind = "classes"
    metric = "accuracy"
    input_size = output_size = len(LENGTHS)

    def collate(self, rows_B: Tensor) -> Batch:
        lengths_B = LENGTHS[rows_B]
        step_T1 = torch.arange(int(lengths_B.max())).unsqueeze(1)
        valid_TB, answer_TB = step_T1 < lengths_B, step_T1 == lengths_B - 1
        inputs_TB = rows_B * valid_TB
        return Batch(
            inputs=inputs_TB,
            targets=rows_B * answer_TB,
            lengths=lengths_B,
            answer_mask=answer_TB,
            refresh_mask=valid_TB,
            refresh_target=inputs_TB,
            refresh_kind="tokens",
            first_answer_step=int(lengths_B.min()) - 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return tasks.scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        return tasks.scoring.divisor(batch.answer_mask, 1, "word")

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        scores = tasks.scoring.class_scores(output_TBO, batch.targets, batch.answer_mask)
        return {"accuracy": scores["position_accuracy"]}


def numbered(train: int = 16, buckets: int | None = None) -> Numbered:
    numbers = torch.arange(24)
    rows = {"train": numbers[:train], "validation": numbers[train:20], "test": numbers[20:]}
    return Numbered(rows, lengths_N=LENGTHS, buckets=buckets)


def drawn(task: Numbered, first: int, count: int, rows: int, split: str = "train", seed: int = 0) -> list[int]:
    batches = [task.batch(index, rows, seed=seed, split=split) for index in range(first, first + count)]
    return [int(row) for batch in batches for row in batch.targets.amax(0)]


@pytest.mark.parametrize("buckets", [None, 1, 3])
def test_it_keeps_the_contract(buckets: int | None) -> None:
    tasks.check_task(numbered(buckets=buckets))


@pytest.mark.parametrize("buckets", [None, 2])
def test_an_epoch_shows_each_training_example_once(buckets: int | None) -> None:
    task = numbered(buckets=buckets)
    epochs = [drawn(task, 4 * number, 4, 4) for number in range(3)]
    assert all(sorted(epoch) == list(range(16)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert drawn(task, 0, 4, 4, seed=1) != epochs[0]


def test_random_batches_cross_epochs_and_bucketed_ones_are_topped_up() -> None:
    crossing, topped = drawn(numbered(), 0, 16, 5), drawn(numbered(buckets=9), 0, 4, 5)
    assert all(sorted(crossing[16 * epoch : 16 * epoch + 16]) == list(range(16)) for epoch in range(5))
    assert len(topped) == 20 and set(topped) == set(range(16))


def test_held_out_splits_come_once_in_one_random_order() -> None:
    task = numbered(train=6)
    order = drawn(task, 0, 4, 4, "validation")
    assert sorted(order) == list(range(6, 20)) and order != sorted(order)
    assert drawn(task, 0, 4, 4, "validation", seed=3) == order == drawn(task, 0, 1, 99, "validation")
    assert [task.example_count(split) for split in tasks.SPLITS] == [6, 14, 4]
    assert [task.batches(split, 3) for split in tasks.SPLITS] == [None, 5, 2]


def test_buckets_cover_held_out_splits_once_too() -> None:
    task, rows = numbered(train=4, buckets=2), 3
    batches = [task.batch(index, rows, seed=0, split="validation") for index in range(6)]
    shown = [int(row) for batch in batches for row in batch.targets.amax(0)]
    assert sorted(shown) == list(range(4, 20)) and [batch.batch_size for batch in batches] == [3, 3, 3, 3, 3, 1]
    assert shown == drawn(task, 0, 6, rows, "validation", seed=5) != sorted(shown)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(OptionError, match="'test' has 4 examples, so no batch 2 of 3: batches\\(\\) tells"):
        numbered().batch(2, 3, seed=0, split="test")
    with pytest.raises(OptionError, match="'validation' has 0 examples, so no batch 0 of 3: this task keeps none"):
        numbered(train=20).batch(0, 3, seed=0, split="validation")
    with pytest.raises(OptionError, match="no example is left for training"):
        numbered(train=0)
    with pytest.raises(OptionError, match="buckets must be an integer of at least 1"):
        numbered(buckets=0)
