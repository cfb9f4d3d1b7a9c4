from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.training.tiny import tiny_config

from torchmann.core import DataError, OptionError
from torchmann.training import Choice, Curriculum, Training, curriculum_from
from torchmann.training.sizes import Sizes

COPY = Choice("copy", {"bits": 2, "min_length": 2, "max_length": 10})
REPEAT = Choice("repeat-copy", {"max_length": 5, "max_repeats": 4})


def lengths(curriculum: Curriculum, iteration: int) -> tuple[int, int]:
    task = curriculum.task(iteration)
    return task.min_length, task.max_length


def test_fixed_is_the_task_as_it_is() -> None:
    curriculum = curriculum_from("fixed", COPY)
    curriculum.observe(0.0)
    assert {lengths(curriculum, iteration) for iteration in (0, 5, 10**6)} == {(2, 10)}
    assert curriculum.state_dict() == {}


def test_growing_goes_up_by_one_and_stays() -> None:
    curriculum = curriculum_from("length=growing:3:100", COPY)
    at = {0: 3, 99: 3, 100: 4, 650: 9, 700: 10, 10**6: 10}
    assert {iteration: lengths(curriculum, iteration) for iteration in at} == {i: (2, n) for i, n in at.items()}


def test_uniform_batches_have_one_size_each_and_all_come_alike() -> None:
    curriculum = curriculum_from("length=uniform", COPY, seed=3)
    drawn = [lengths(curriculum, iteration) for iteration in range(900)]
    assert all(low == high for low, high in drawn)
    counts = Counter(low for low, _ in drawn)
    assert set(counts) == set(range(2, 11)) and min(counts.values()) > 60
    batch = curriculum.task(0).batch(0, 8, seed=0)
    assert len(set(batch.lengths.tolist())) == 1, "nothing is padded"


def test_uniform_is_a_function_of_seed_and_iteration() -> None:
    one, again, other = (curriculum_from("length=uniform", COPY, seed=seed) for seed in (0, 0, 1))
    drawn = [lengths(one, iteration) for iteration in range(50)]
    assert drawn == [lengths(again, iteration) for iteration in reversed(range(50))][::-1]
    assert drawn != [lengths(other, iteration) for iteration in range(50)]


def test_the_loss_drives_the_limit() -> None:
    curriculum = curriculum_from("length=loss:2:0.1", COPY)
    limits = []
    for loss in (0.5, 0.1, 0.09, 0.3, 0.01, 0.0, 0.0):
        curriculum.observe(loss)
        limits.append(lengths(curriculum, 0)[1])
    assert limits == [2, 2, 4, 4, 8, 10, 10]


def test_a_loss_that_is_no_number_drives_nothing() -> None:
    curriculum = curriculum_from("length=loss:2:0.1", COPY)
    curriculum.observe(float("nan"))
    assert lengths(curriculum, 0) == (2, 2)


def test_each_size_may_have_its_own_rule() -> None:
    curriculum = curriculum_from("length=growing:1:10,repeats=loss:1:0.5", REPEAT)
    curriculum.observe(0.2)
    task = curriculum.task(20)
    assert (task.min_length, task.max_length, task.min_repeats, task.max_repeats) == (1, 3, 1, 2)


def test_it_goes_on_from_its_state() -> None:
    one, other = (curriculum_from("length=loss:2:0.1,bits=growing:2:5", COPY) for _ in range(2))
    one.observe(0.0)
    other.load_state_dict(one.state_dict())
    assert one.state_dict() == {"length": 4} and lengths(other, 0) == (2, 4)
    with pytest.raises(DataError, match=r"has the sizes \['width'\], expected \['length'\]"):
        other.load_state_dict({"width": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("growing:1:5", "is 'fixed' or written NAME=RULE"),
        ("length=groing:2:5", "unknown curriculum 'groing': did you mean 'growing'"),
        ("lenght=uniform", "unknown size of task 'copy': 'lenght': did you mean 'length'"),
        ("length=growing:2", "written length=growing:START:EVERY, got 'growing:2'"),
        ("length=growing:two:5", "growing:START:EVERY takes a whole number, got 'two'"),
        ("length=loss:2:low", "takes a number, got 'low'"),
        ("length=loss:2:0", "must be above 0, got 0.0"),
        ("length=growing:2:0", "every must be an integer of at least 1"),
        ("length=growing:1:5", "starts within the task's range, 2 to 10, got 1"),
        ("length=growing:11:5", "starts within the task's range, 2 to 10, got 11"),
        ("length=uniform,length=growing:2:5", "two rules for 'length'"),
        ("bits=growing:1:5", "bits cannot be changed in training: the model's input or output would change"),
    ],
)
def test_bad_texts_are_told(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        curriculum_from(text, COPY)


def test_sizes_are_found_in_the_constructor_and_its_presets() -> None:
    assert Sizes(COPY).ranges == {"bits": (1, 2), "length": (2, 10)}
    assert Sizes(Choice("copy/dam")).ranges["length"] == (8, 32)
    assert Sizes(Choice("recall", {"max_items": 4})).ranges["items"] == (2, 4)
    assert Sizes(REPEAT).ranges["repeats"] == (1, 4)


@settings(max_examples=25)
@given(low=st.integers(1, 12), more=st.integers(0, 12), iteration=st.integers(0, 10**6))
def test_a_sized_task_stays_in_its_range_and_fits_the_same_model(low: int, more: int, iteration: int) -> None:
    sizes = Sizes(COPY)
    task = sizes.task({"length": (low, low + more)})
    batch = task.batch(iteration, 5, seed=0)
    steps = (batch.lengths - 2) // 2
    assert low <= int(steps.min()) and int(steps.max()) <= low + more
    assert (task.input_size, task.output_size) == (4, 2)
    assert sizes.task({"length": (low, low + more)}) is task, "made once"


def test_what_has_no_size_says_so() -> None:
    with pytest.raises(OptionError, match="task 'babi' has no size that could be changed"):
        Sizes(Choice("babi", {"tasks": [1]})).require("length")


def curriculum_training(text: str, **options: Any) -> Training:
    config = tiny_config("lstm", curriculum=text, **options)
    task = config.build_task()
    model = config.build_model(task)
    curriculum = curriculum_from(text, config.task)
    return Training(model, task, config.build_optimiser(model), config.settings, curriculum=curriculum)


def test_training_follows_it_and_evaluation_does_not() -> None:
    training = curriculum_training("length=growing:1:3")
    assert [int(training.drawn(number)[1].lengths.max()) for number in (0, 1, 2)] == [4, 4, 4]
    assert 6 in training.drawn(3)[1].lengths
    assert training.task.max_length == 2, "what is evaluated"


def test_a_loop_with_it_goes_on_where_another_stopped() -> None:
    whole = curriculum_training("length=loss:1:9", iterations=6)
    expected = [(m.iteration, m.loss) for m in whole if m.split == "train"]
    one, two = (curriculum_training("length=loss:1:9", iterations=n) for n in (2, 6))
    first = [(m.iteration, m.loss) for m in one if m.split == "train"]
    assert one.curriculum.state_dict() == {"length": 2}, "any loss is below 9"
    two.load_state_dict(one.state_dict())
    assert first + [(m.iteration, m.loss) for m in two if m.split == "train"] == expected
    assert all(torch.equal(whole.model.state_dict()[k], v) for k, v in two.model.state_dict().items())
