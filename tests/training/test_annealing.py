from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.tiny import tiny_settings
from torch import nn

from torchmann import models
from torchmann.core import OptionError
from torchmann.tasks import Copy
from torchmann.training import Annealing, Training, annealed_names
from torchmann.training.annealing import SCHEDULES, schedule_from

TEXTS = {
    "linear": "linear:1:0.1:90",
    "exponential": "exponential:1:0.5:100",
    "steps": "steps:1:0.04:10:5",
    "inverse_steps": "inverse_steps:2:1:400:50",
}


class Part(nn.Module):
    annealed = ("temperature", "slope")

    def __init__(self, copies: int | None = None) -> None:
        super().__init__()
        shape = () if copies is None else (copies,)
        self.register_buffer("temperature", torch.ones(shape))
        self.register_buffer("slope", torch.ones(shape))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Part(), Part(copies=3)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("linear:1:0.1:90", {0: 1.0, 45: 0.55, 90: 0.1, 1000: 0.1}),
        ("linear:0:2:4", {1: 0.5, 4: 2.0}),
        ("exponential:1:0.01:100", {0: 1.0, 50: 0.1, 100: 0.01, 101: 0.01}),
        ("steps:1:0.04:10:5", {0: 1.0, 9: 1.0, 10: 1.04, 999: 4.96, 1000: 5.0, 10**6: 5.0}),
        ("steps:3:-1:2:1", {1: 3.0, 2: 2.0, 4: 1.0, 6: 1.0}),
        # ARMIN as released: the inverse temperature is 1 + 1 at iterations 0..399, and 50 from 19200 on
        ("inverse_steps:2:1:400:50", {0: 1 / 2, 399: 1 / 2, 400: 1 / 3, 19199: 1 / 49, 19200: 1 / 50, 40000: 1 / 50}),
    ],
)
def test_schedules_have_the_values_that_they_name(text: str, values: dict[int, float]) -> None:
    schedule = schedule_from(text)
    assert {iteration: pytest.approx(schedule(iteration)) for iteration in values} == values


def test_the_skim_schedule_is_the_papers() -> None:
    schedule = schedule_from("exponential:1:0.5:6931")
    for n in (0, 1, 1000, 6931, 20000):
        assert schedule(n) == pytest.approx(max(0.5, math.exp(-1e-4 * n)), rel=1e-4)


@settings(max_examples=30)
@given(name=st.sampled_from(sorted(TEXTS)), iteration=st.integers(0, 10**6), later=st.integers(0, 10**6))
def test_a_schedule_moves_one_way_between_its_ends(name: str, iteration: int, later: int) -> None:
    schedule = schedule_from(TEXTS[name])
    one, two = schedule(iteration), schedule(iteration + later)
    first, last = schedule(0), schedule(10**9)
    assert min(first, last) <= two <= max(first, last)
    assert (two - one) * (last - first) >= 0


def test_every_schedule_is_tested() -> None:
    assert TEXTS.keys() == SCHEDULES.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("liner:1:2:3", "unknown annealing schedule 'liner': did you mean 'linear'"),
        ("linear:1:2", "written linear:START:END:ITERATIONS with numbers, got 'linear:1:2'"),
        ("linear:1:two:3", "written linear:START:END:ITERATIONS with numbers"),
        ("linear:1:nan:3", "with numbers"),
        ("linear:1:2:0", "iterations of an annealing schedule must be a whole number of at least 1, got 0"),
        ("steps:1:1:2.5:9", "every of an annealing schedule must be a whole number"),
        ("exponential:1:0:10", "of one sign and not 0, got 1.0 and 0.0"),
        ("steps:1:-1:10:5", "never get from 1.0 to 5.0"),
        ("inverse_steps:-1:1:10:5", "of one sign and not 0"),
    ],
)
def test_bad_schedules_are_told(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        schedule_from(text)


def test_buffers_are_filled_by_the_ending_of_their_path() -> None:
    model = Two()
    assert annealed_names(model) == ("first.temperature", "first.slope", "second.temperature", "second.slope")
    Annealing(["first.temperature=linear:1:0:10", "second.slope=linear:0:1:10"]).apply(model, 5)
    assert model.first.temperature.item() == 0.5 and model.second.slope.tolist() == [0.5] * 3
    assert model.first.slope.item() == 1.0 and model.second.temperature.tolist() == [1.0] * 3


def test_a_buffer_that_was_replaced_is_still_found() -> None:
    model, annealing = Two(), Annealing(["first.slope=linear:1:0:10"])
    annealing.apply(model, 0)
    model.first.slope = torch.ones(())  # as moving to a device does
    annealing.apply(model, 10)
    assert model.first.slope.item() == 0.0


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["temperature=linear:1:0:1"], "ambiguous, one of: first.temperature, second.temperature"),
        (["temprature=linear:1:0:1"], "unknown annealed buffer 'temprature': did you mean 'temperature'"),
        (["frist.slope=linear:1:0:1"], "did you mean 'first.slope'"),
        (["linear:1:0:1"], "annealing is written NAME=SCHEDULE"),
        (["=linear:1:0:1"], "annealing is written NAME=SCHEDULE"),
        (["first.slope=linear:1:0:1"] * 2, "'first.slope' is given twice"),
    ],
)
def test_bad_names_are_told(texts: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Annealing(texts).apply(Two(), 0)


def test_one_buffer_has_one_schedule() -> None:
    model = nn.Sequential(Part())
    with pytest.raises(OptionError, match="names one buffer twice"):
        Annealing(["slope=linear:1:0:1", "0.slope=linear:1:0:1"]).apply(model, 0)


def test_a_model_without_such_buffers_is_told() -> None:
    with pytest.raises(OptionError, match="has nothing to anneal, so leave 'temperature' out"):
        Annealing(["temperature=linear:1:0:1"]).apply(nn.Linear(1, 1), 0)
    Annealing().apply(nn.Linear(1, 1), 0)


def armin_training(**options: Any) -> Training:
    task = Copy(bits=2, max_length=2)
    model = models.build("armin", input_kind="vector", input_size=4, output_size=2, hidden_size=8, slots=4)
    chosen = tiny_settings(anneal=("temperature=linear:1:0.2:4",), **options)
    return Training(model, task, torch.optim.SGD(model.parameters(), lr=0.1), chosen)


def test_a_released_model_is_annealed_by_the_loop() -> None:
    training = armin_training(iterations=3)
    (name,) = annealed_names(training.model)
    list(training)
    assert training.model.get_buffer(name).item() == pytest.approx(0.6), "the third iteration is number 2"


def test_the_temperature_changes_what_is_computed() -> None:
    losses = []
    for anneal in ("temperature=linear:1:0.01:1", "temperature=linear:9:1:1"):
        torch.manual_seed(0)
        task = Copy(bits=2, max_length=2)
        model = models.build("armin", input_kind="vector", input_size=4, output_size=2, hidden_size=8, slots=4)
        settings_ = tiny_settings(anneal=(anneal,), iterations=4)
        losses.append([m.loss for m in Training(model, task, torch.optim.SGD(model.parameters(), lr=0.1), settings_)])
    assert losses[0] != losses[1]
