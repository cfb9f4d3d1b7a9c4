from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.training.faults import ITERATION, ROW, STEP, STEPS, Marked, faulty_training
from tests.training.tiny import tiny_config, tiny_settings
from torch import Tensor

from torchmann import models
from torchmann.tasks import StreamTask
from torchmann.training import Choice, Config, Finding, NotFiniteError, Training, examine
from torchmann.training.config import model_defaults
from torchmann.training.forensics import finite, giving, snapshot


def found_by(training: Training) -> Finding:
    """What the loop says and hands over when it stops."""
    with pytest.raises(NotFiniteError) as stop:
        list(training)
    assert stop.value.case is not None and stop.value.case.finding is not None
    finding = stop.value.case.finding
    assert f"at iteration {finding.iteration}: {finding.sentence()}" in str(stop.value)
    return finding


def test_a_cell_that_divides_by_zero_is_named_with_step_and_row() -> None:
    finding = found_by(faulty_training(lambda value: value / value, Marked(mark=0.0)))
    assert finding == Finding(ITERATION, "internal", "body.cell.inside", "nan", STEP, ROW)
    assert finding.sentence() == "body.cell.inside became nan at step 3, row 1"


def test_what_a_cell_does_not_record_shows_in_its_state() -> None:
    training = faulty_training(lambda value: value / value, Marked(mark=0.0))
    training.model.body.cell.forward = unrecorded.__get__(training.model.body.cell)
    assert found_by(training) == Finding(ITERATION, "internal", "body.cell.state.total", "nan", STEP, ROW)


def unrecorded(self: Any, x: Tensor, before: Any, noise: Any = None) -> tuple[Tensor, Any]:
    inside = self.function(self.weight * x)
    return inside, type(before)(before.total + inside)


def test_an_infinite_gradient_of_a_finite_loss_names_the_parameter() -> None:
    """exp(88) is finite and so is the loss; its derivative by the weight is 88 times as large, and is not."""
    finding = found_by(faulty_training(torch.exp, Marked(mark=88.0)))
    assert finding == Finding(ITERATION, "gradient", *["body.cell.weight", "inf", None, None, "body.cell.weight"])
    assert finding.sentence() == "the gradient of the parameter body.cell.weight became inf, while the loss was finite"


def test_a_gradient_is_followed_back_to_the_internal_where_it_broke() -> None:
    """The derivative of the root at zero is infinite; times an input of zero it is nan in the weight."""
    finding = found_by(faulty_training(torch.sqrt, Marked(mark=0.0)))
    assert finding == Finding(ITERATION, "gradient", "body.cell.scaled", "inf", STEP, ROW, "body.cell.weight")
    expected = "the gradient of the parameter body.cell.weight became inf by way of body.cell.scaled at step 3, row 1"
    assert finding.sentence().startswith(expected)


@pytest.mark.parametrize("mark", [math.nan, math.inf, -math.inf])
def test_a_bad_batch_is_the_fault_of_the_task(mark: float) -> None:
    finding = found_by(faulty_training(torch.tanh, Marked(mark=mark)))
    assert finding == Finding(ITERATION, "batch", "inputs", str(mark), STEP, ROW)
    assert finding.sentence() == f"the task gave {mark} in inputs at step 3, row 1"


def test_a_loss_may_break_by_itself() -> None:
    class Overflowing(Marked):
        def loss(self, output_TBO: Tensor, batch: Any) -> Tensor:
            return output_TBO.mean() + batch.targets.sum().exp()

    finding = found_by(faulty_training(torch.tanh, Overflowing(loss_then=99.0)))
    assert finding == Finding(ITERATION, "loss", "loss", "inf")


def test_the_optimiser_may_break_a_parameter() -> None:
    finding = found_by(faulty_training(lambda value: 100 * value, Marked(), lr=3e37))
    assert finding == Finding(1, "update", "gain", "-inf", parameter="gain")
    assert finding.sentence() == "the optimiser made the parameter gain -inf, of a gradient that is finite"


def test_weights_that_were_bad_before_are_told_apart() -> None:
    training = faulty_training(torch.tanh, Marked())
    training.model.gain.data.fill_(math.nan)
    assert found_by(training) == Finding(1, "weights", "gain", "nan", parameter="gain")


def test_a_fault_in_a_later_chunk_has_its_step_in_the_sequence() -> None:
    class Stepwise(Marked):
        def step_loss(self, output_TBO: Tensor, batch: Any) -> Tensor:
            return output_TBO.squeeze(-1)

        def divisor(self, batch: Any) -> Tensor:
            return torch.tensor(float(batch.answer_mask.numel()))

    finding = found_by(faulty_training(lambda value: value / value, Stepwise(mark=0.0), truncate=2))
    assert finding == Finding(ITERATION, "internal", "body.cell.inside", "nan", STEP, ROW)


def test_a_state_that_a_stream_carries_is_looked_at() -> None:
    class Stream(Marked, StreamTask):
        def position(self, index: int, batch_size: int, split: str = "train") -> int:
            return STEPS * index

    training = faulty_training(torch.tanh, Stream())
    for _ in range(2):
        training.step()
    assert finite(training)
    training.backward.carried.state.total[2] = math.nan
    assert not finite(training)
    found = examine(training)
    assert found == Finding(3, "state", "total", "nan", None, 2)
    assert found.sentence() == "the carried state total was nan at row 2"


def test_an_infinite_gradient_that_is_clipped_away_stops_nothing() -> None:
    training = faulty_training(torch.exp, Marked(mark=88.0), clip="value", clip_limit=1e-3)
    list(training)
    assert training.stopped == "iterations"


def test_a_fault_that_does_not_come_again_is_said_to() -> None:
    class Once(Marked):
        times = 0

        def batch(self, index: int, *arguments: Any, **keywords: Any) -> Any:
            batch = super().batch(index, *arguments, **keywords)
            if index == ITERATION - 1 and keywords.get("split", "train") == "train":
                Once.times += 1
                batch.inputs.fill_(math.nan if Once.times == 1 else 1.0)
            return batch

    with pytest.raises(NotFiniteError, match="did not come again") as stop:
        list(faulty_training(torch.tanh, Once()))
    assert stop.value.case is None


def test_the_case_holds_the_state_before_the_bad_iteration() -> None:
    training = faulty_training(lambda value: value / value, Marked(mark=0.0))
    with pytest.raises(NotFiniteError) as stop:
        list(training)
    case, other = stop.value.case, faulty_training(lambda value: value / value, Marked(mark=0.0))
    while other.iteration < ITERATION - 1:
        other.step()
    before = other.state_dict()
    assert case.state["iteration"] == ITERATION - 1
    assert all(torch.equal(case.state["model"][name], value) for name, value in before["model"].items())
    assert case.batch.inputs[STEP, ROW].item() == 0.0


def test_a_snapshot_does_not_follow_the_training() -> None:
    training = faulty_training(torch.tanh, Marked(), lr=0.1)
    before = snapshot(training)
    training.step()
    assert not torch.equal(before["model"]["gain"], training.model.gain) and before["iteration"] == 0


@pytest.mark.parametrize("name", [*models.names(), "dnc cached:2", "ntm uniform:3"])
def test_a_healthy_iteration_has_no_finding_in_any_model(name: str) -> None:
    """What a model records, and the state it carries, is finite even where it marks what is absent."""
    name, _, writing = name.partition(" ")
    sizes = {size: min(value, 8) for size, value in model_defaults(name).items()}
    options = sizes | ({"writing": writing} if writing else {})
    config = Config(Choice("copy", {"bits": 2, "max_length": 2}), Choice(name, options), settings=tiny_settings())
    task = config.build_task()
    model = config.build_model(task)
    training = Training(model, task, config.build_optimiser(model), config.settings)
    for _ in range(2):
        assert examine(training) is None
    assert training.iteration == 2


def test_examining_changes_nothing_in_what_is_learnt() -> None:
    results = []
    for step in (Training.step, examine):
        config = tiny_config("ntm")
        options = {**config.model.options, "engine": "eager"}  # whatever runs while something is recorded
        config = replace(config, model=replace(config.model, options=options))
        task = config.build_task()
        model = config.build_model(task)
        training = Training(model, task, config.build_optimiser(model), config.settings)
        for _ in range(3):
            step(training)
        results.append(training.state_dict())
    assert all(torch.equal(results[1]["model"][name], value) for name, value in results[0]["model"].items())
    assert not any(parameter._backward_hooks for parameter in model.parameters()), "the hooks are gone"


def test_a_task_can_be_made_to_give_one_batch() -> None:
    task = Marked()
    batch = task.batch(3, 2, seed=0)
    assert giving(task, batch).batch(7, 5, seed=9, split="test") is batch
    assert task.batch(7, 5, seed=9).batch_size == 5
