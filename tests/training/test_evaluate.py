from __future__ import annotations

import torch
from tests.training.tiny import tiny_config

from torchmann.tasks import Copy, Score
from torchmann.training import Tally, evaluate, final_evaluation

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
    results = final_evaluation(config.build_model(task), task, batch_size=5, batches=1, device=CPU)
    assert len(results["test"].losses) == 3
