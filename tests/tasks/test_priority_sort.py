from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks.priority_sort import sort_by_priority


def answer(mode, vectors, priorities, answers):
    if mode == "paper":
        ranked = sorted(range(len(vectors)), key=lambda place: -priorities[place])  # Python's sort is stable
        return [vectors[place] for place in ranked[:answers]]
    channels = list(zip(*vectors, strict=True))
    return [[float(rank < sum(channel)) for channel in channels] for rank in range(answers)]


@pytest.mark.parametrize("mode", ["paper", "released"])
@given(
    bits=st.integers(1, 4),
    answers=st.integers(1, 5),
    spare=st.integers(0, 3),
    more=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_every_step_against_the_oracle(mode, bits, answers, spare, more, seed):
    low = answers + spare
    task = tasks.make("priority-sort", bits=bits, min_vectors=low, max_vectors=low + more, answers=answers, mode=mode)
    batch = task.batch(0, 4, seed=seed)
    steps = len(batch.inputs)
    for b in range(4):
        count = int(batch.lengths[b]) - answers
        assert low <= count <= low + more
        vectors = batch.inputs[:count, b, :bits].tolist()
        priorities = batch.inputs[:count, b, bits].tolist()
        assert not batch.inputs[count:, b].any()
        wanted = answer(mode, vectors, priorities, answers)
        padding = steps - count - answers
        assert batch.targets[:, b].tolist() == [[0] * bits] * count + wanted + [[0] * bits] * padding
        assert batch.answer_mask[:, b].tolist() == [False] * count + [True] * answers + [False] * padding
        assert batch.refresh_mask[:, b].tolist() == [True] * count + [False] * (steps - count)
        assert batch.refresh_target[:count, b].tolist() == vectors


def test_the_same_priority_goes_to_the_earlier():
    vectors = torch.arange(40.0).view(40, 1, 1)
    order = sort_by_priority(vectors, torch.tensor([0.5, -0.25]).repeat(20).unsqueeze(1)).flatten().tolist()
    assert order == [*range(0, 40, 2), *range(1, 40, 2)]


def test_what_was_released_does_not_depend_on_the_priorities():
    """The known defect: all ones of a channel come first, so that a zero is never followed by a one."""
    batch = tasks.make("priority-sort/armin").batch(0, 50, seed=0)
    asked = batch.targets[40:]
    assert (asked.diff(dim=0) <= 0).all()
    assert torch.equal(asked.sum(0), batch.inputs[:40, :, :8].sum(0).clamp(max=30))


@pytest.mark.parametrize(
    ("name", "vectors", "answers", "mode"), [("armin", 40, 30, "released"), ("ntm", 20, 16, "paper")]
)
def test_sizes_of_the_papers(name, vectors, answers, mode):
    task = tasks.make(f"priority-sort/{name}")
    batch = task.batch(0, 100, seed=0)
    assert (task.input_size, task.output_size, task.mode) == (9, 8, mode)
    assert batch.lengths.unique().tolist() == [vectors + answers]
    assert batch.first_answer_step == task.story_steps == vectors
    priorities = batch.inputs[:vectors, :, 8]
    assert -1 <= priorities.min() < -0.99
    assert 0.99 < priorities.max() < 1
    assert abs(priorities.mean()) < 0.05


def test_numbers_of_vectors_reach_both_ends():
    batch = tasks.make("priority-sort", min_vectors=6, max_vectors=9).batch(0, 300, seed=0)
    assert batch.lengths.unique().tolist() == [12, 13, 14, 15]


def test_longer_asks_for_as_many():
    longer = tasks.make("priority-sort", mode="released", loss="episode").longer()
    assert list(longer) == ["vectors 16", "vectors 32"]
    assert all((task.mode, task.normalisation, task.answers) == ("released", "episode", 6) for task in longer.values())
    assert longer["vectors 32"].batch(0, 2, seed=0).lengths.tolist() == [38, 38]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answers": 9}, "answers must be at most min_vectors=8, got 9"),
        ({"answers": 0}, "answers must be an integer of at least 1, got 0"),
        ({"max_vectors": 7}, "got min_vectors=8 and max_vectors=7"),
        ({"mode": "release"}, "unknown mode 'release': did you mean 'released'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("priority-sort", **options)
