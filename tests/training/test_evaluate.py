from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from tests.training.tiny import tiny_config
from torch import Tensor, nn

from torchmann.tasks import Batch, Copy, Score, StreamTask
from torchmann.training import Tally, evaluate, evaluate_with_intervals, final_evaluation
from torchmann.training.intervals import interval

CPU = torch.device("cpu")


def test_a_tally_weighs_losses_by_rows_and_scores_by_their_weight() -> None:
    tally = Tally()
    tally.add(torch.tensor(1.0), {"a": Score(torch.tensor(1.0), torch.tensor(1.0))}, rows=1)
    scores = {"a": Score(torch.tensor(1.0), torch.tensor(4.0)), "empty": Score(torch.tensor(0.0), torch.tensor(0.0))}
    tally.add(torch.tensor(3.0), scores, rows=3)
    means = tally.means()
    assert means.loss == (1 * 1 + 3 * 3) / 4 and means.scores == {"a": 2 / 5} and means.losses == [1.0, 3.0]


def test_batches_and_one_big_batch_give_the_same_scores() -> None:
    config = tiny_config("lstm")
    task = Copy(bits=2, min_length=2, max_length=2)
    model = config.build_model(task)
    means = evaluate(model, task, "test", batch_size=5, batches=4, device=CPU)
    batches = [task.batch(index, 5, seed=0, split="test") for index in range(4)]
    outputs = torch.cat([model(batch.inputs)[0] for batch in batches], dim=1)
    asked = torch.cat([batch.answer_mask for batch in batches], dim=1).unsqueeze(-1)
    targets = torch.cat([batch.targets for batch in batches], dim=1)
    right = (((outputs > 0) == (targets > 0.5)) & asked).sum() / (asked.sum() * 2)
    assert abs(means.scores["bit_accuracy"] - right.item()) < 1e-6


def test_held_out_sequences_are_fixed_and_the_mode_of_the_model_is_kept() -> None:
    config = tiny_config()
    task = config.build_task()
    model = config.build_model(task).train()
    one = evaluate(model, task, "validation", batch_size=5, batches=2, device=CPU)
    assert model.training
    assert evaluate(model.eval(), task, "validation", batch_size=5, batches=2, device=CPU) == one
    assert not model.training
    assert evaluate(model, task, "test", batch_size=5, batches=2, device=CPU) != one


def test_the_final_evaluation_has_the_test_split_and_every_longer_size() -> None:
    config = tiny_config("lstm")
    task = config.build_task()
    results = final_evaluation(config.build_model(task), task, batch_size=5, batches=1, device=CPU)
    assert list(results) == ["test", "length 4", "length 8"]
    assert all(0 <= means.scores[task.metric] <= 1 for means in results.values())


def test_a_finite_test_set_is_taken_whole() -> None:
    class Finite(Copy):
        def batches(self, split: str, batch_size: int) -> int | None:
            return {"train": None, "validation": 1, "test": 3}[split]

        def longer(self) -> dict[str, Copy]:
            return {}

    config = tiny_config("lstm")
    task = Finite(bits=2, max_length=2)
    model = config.build_model(task)
    results = final_evaluation(model, task, batch_size=5, batches=1, device=CPU)
    assert results["test"].sequences == 15
    part = final_evaluation(model, task, batch_size=5, batches=1, test_batches=2, device=CPU)
    assert part["test"].sequences == 10


def test_intervals_come_from_the_scores_of_each_sequence() -> None:
    config = tiny_config("lstm")
    task = Copy(bits=2, min_length=1, max_length=3)
    model = config.build_model(task)
    plain = evaluate(model, task, "test", batch_size=5, batches=4, device=CPU)
    result = evaluate_with_intervals(model, task, "test", batch_size=5, batches=4, device=CPU)
    assert (result.loss, result.scores, result.sequences) == (plain.loss, plain.scores, 20)
    totals, weights = [], []
    for index in range(4):
        batch = task.batch(index, 5, seed=0, split="test")
        output, _ = model.eval()(batch.inputs, lengths=batch.lengths)
        right = ((output > 0) == (batch.targets > 0.5)) & batch.answer_mask.unsqueeze(-1)
        totals.append(right.sum((0, 2)))
        weights.append(2 * batch.answer_mask.sum(0))
    assert result.intervals["bit_accuracy"] == interval(torch.cat(totals), torch.cat(weights))
    assert result.intervals.keys() == result.scores.keys()


def test_a_score_without_a_number_has_no_interval() -> None:
    class Lost(Copy):
        def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
            nothing = Score(torch.tensor(0.0), torch.tensor(0.0))
            return super().scores(output_TBO, batch) | {
                "lost": Score(torch.tensor(torch.nan), torch.tensor(1.0)),
                "absent": nothing,
            }

    task = Lost(bits=2, max_length=2)
    model = tiny_config("lstm").build_model(task)
    result = evaluate_with_intervals(model, task, "test", batch_size=5, batches=2, device=CPU)
    assert "lost" in result.scores and "absent" not in result.scores
    assert not {"lost", "absent"} & result.intervals.keys()


class Counted(StreamTask):
    """Each of two rows is asked for the number of the step, which only a model that carries its state knows."""

    input_kind = "vector"
    target_kind = "values"
    input_size = output_size = 1
    metric = "right"

    def position(self, index: int, batch_size: int, split: str = "train") -> int:
        return 3 * (index % 4)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        first = self.position(index, batch_size, split)
        targets = torch.arange(first + 1, first + 4.0).view(3, 1, 1).expand(3, batch_size, 1)
        everywhere = torch.ones(3, batch_size, dtype=torch.bool)
        inputs = torch.ones(3, batch_size, 1)
        return Batch(inputs, targets, torch.full((batch_size,), 3), everywhere, everywhere, inputs, "l2", 0)

    def loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return (output_TBO - batch.targets).square().mean()

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        right = (output_TBO == batch.targets).sum().float()
        return {"right": Score(right, torch.tensor(float(batch.targets.numel())))}


class Counting(nn.Module):
    def forward(self, inputs: Tensor, state: Any = None, **options: Any) -> tuple[Tensor, Any]:
        output = inputs.cumsum(0) + (0 if state is None else state)
        return output, output[-1]


def test_a_stream_is_evaluated_with_its_state_and_by_its_rows() -> None:
    result = evaluate_with_intervals(Counting(), Counted(), "test", batch_size=2, batches=6, device=CPU)
    assert result.scores == {"right": 1.0}, "the state goes on for four batches, then begins anew"
    assert result.sequences == 2 and result.intervals["right"] == interval(torch.ones(2), torch.ones(2))


@pytest.mark.parametrize("stop_early", [False, True])
def test_the_mode_of_the_model_is_kept_whatever_happens(stop_early: bool) -> None:
    class Breaking(Copy):
        def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
            if stop_early:
                raise RuntimeError("stop")
            return super().scores(output_TBO, batch)

    task = Breaking(bits=2, max_length=2)
    model = tiny_config("lstm").build_model(task).train()
    with suppress(RuntimeError):
        evaluate(model, task, "test", batch_size=2, batches=1, device=CPU)
    assert model.training and torch.is_grad_enabled()
