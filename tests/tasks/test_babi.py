from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tests.data.babi_files import write_folder

from torchmann import tasks
from torchmann.core.errors import DataError, OptionError
from torchmann.data.babi import ANSWER, PERIOD, QUESTION
from torchmann.tasks.check import perfect_output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_folder(tmp_path_factory.mktemp("babi"), tasks=(1, 2, 3), stories=40))


@pytest.fixture(scope="module")
def joint(folder):
    return tasks.make("babi", tasks=[1, 3], data=folder, allow_partial=True)


def rows(batch):
    """The stories of a batch as tuples of tokens, so that they can be compared as sets."""
    return [tuple(batch.inputs[: batch.lengths[b], b].tolist()) for b in range(batch.batch_size)]


def every_row(task, split, batch_size=7):
    count = task.batches(split, batch_size)
    return [row for k in range(count) for row in rows(task.batch(k, batch_size, seed=0, split=split))]


def test_contract(joint, folder):
    tasks.check_task(joint)
    tasks.check_task(tasks.make("babi", tasks=[2], data=folder, allow_partial=True))
    tasks.check_task(tasks.make("babi/dam", tasks=[2], data=folder, allow_partial=True))


def test_sizes_and_counts(joint):
    assert joint.input_size == joint.output_size == len(joint.vocabulary)
    assert [joint.example_count(split) for split in tasks.SPLITS] == [72, 8, 20]
    assert joint.batches("train", 8) is None
    assert [joint.batches("validation", n) for n in (3, 4, 100)] == [3, 2, 1]


def test_validation_is_the_last_tenth_of_each_tasks_training_stories(joint, folder):
    everything = tasks.make("babi", tasks=[1, 3], data=folder, allow_partial=True, holdout=0.0)
    assert [everything.example_count(split) for split in tasks.SPLITS] == [80, 0, 20]
    in_order = everything.collate(torch.arange(80))
    expected = rows(in_order)[36:40] + rows(in_order)[76:80]
    assert sorted(every_row(joint, "validation")) == sorted(expected)
    assert everything.batches("validation", 4) == 0
    with pytest.raises(OptionError, match=r"'validation' has 0 examples.*keeps none for it"):
        everything.batch(0, 4, seed=0, split="validation")


def test_each_epoch_shows_every_training_story_once_in_a_new_order(joint):
    def epoch(number, seed=0):
        batches = [joint.batch(12 * number + k, 6, seed=seed) for k in range(12)]
        return [row for batch in batches for row in rows(batch)]

    first, second = epoch(0), epoch(1)
    assert sorted(first) == sorted(second)
    assert len(first) == 72
    assert first != second
    assert first != epoch(0, seed=1)


def test_training_batches_cross_epochs_and_stay_full(joint):
    large = joint.batch(0, 100, seed=0)
    assert large.batch_size == 100
    assert rows(large)[:72] == rows(joint.batch(0, 72, seed=0))
    assert rows(large)[72:78] == rows(joint.batch(12, 6, seed=0))


def test_held_out_splits_do_not_depend_on_the_seed_and_end(joint):
    one, other = (joint.batch(0, 5, seed=seed, split="test") for seed in (0, 1))
    assert torch.equal(one.inputs, other.inputs)
    assert len(every_row(joint, "test")) == 20
    with pytest.raises(OptionError, match="'test' has 20 examples, so no batch 4 of 5"):
        joint.batch(4, 5, seed=0, split="test")


def test_long_training_stories_are_left_out_and_long_test_stories_kept(tmp_path):
    def sized(tokens):  # each statement has 4 tokens, the question 4
        count = (tokens - 4) // 4
        lines = [f"{k + 1} Mary went there.\n" for k in range(count)]
        return "".join(lines) + f"{count + 1} Who went? \tMary\t1\n"

    base = write_folder(tmp_path, tasks=(1, 2))
    for split in ("train", "test"):
        (base / f"en-10k/qa1_made-up_{split}.txt").write_text(sized(804) + sized(800) + sized(796))
    task = tasks.make("babi", tasks=[2, 1], data=str(base), allow_partial=True, holdout=0.5)
    assert [task.example_count(split) for split in tasks.SPLITS] == [20 + 1, 20 + 1, 10 + 3]
    lengths = {split: {len(row) for row in every_row(task, split)} for split in ("validation", "test")}
    assert 796 in lengths["validation"] and not lengths["validation"] & {800, 804}
    assert lengths["test"] >= {796, 800, 804}


def test_buckets_show_every_story_once_with_less_padding(folder, tmp_path):
    base = write_folder(tmp_path, tasks=(1,))
    lines = "".join(
        "".join(f"{k + 1} Mary went there.\n" for k in range(n)) + f"{n + 1} Who went? \tMary\t1\n"
        for n in range(1, 49)
    )
    (base / "en-10k/qa1_made-up_train.txt").write_text(lines)
    plain, bucketed = (
        tasks.make("babi", tasks=[1], data=str(base), allow_partial=True, holdout=0.0, buckets=buckets)
        for buckets in (None, 12)
    )
    tasks.check_task(bucketed)

    def epoch(task, number):
        return [task.batch(12 * number + k, 4, seed=3) for k in range(12)]

    def padding(batches):
        return sum(int((len(batch.inputs) - batch.lengths).sum()) for batch in batches)

    for number in (0, 1):
        stories = sorted(row for batch in epoch(bucketed, number) for row in rows(batch))
        assert stories == sorted(row for batch in epoch(plain, number) for row in rows(batch))
    assert padding(epoch(bucketed, 0)) == 12 * (4 + 8 + 12) < padding(epoch(plain, 0)) / 4


def test_first_held_out_batch_has_every_task(joint):
    assert set(joint.batch(0, 8, seed=0, split="test").source.tolist()) == {1, 3}


def test_layout_of_a_story(folder):
    task = tasks.make("babi", tasks=[1], data=folder, allow_partial=True)
    batch = task.batch(0, 1, seed=0, split="test")
    words = [task.vocabulary[token] for token in batch.inputs[:, 0].tolist()]
    who, where, there = words[0], words[4], words[12]
    assert (
        words
        == (
            f"{who} moved to the {where} . {words[6]} took the apple to the {there} . "
            f"where is {who} ? - where are they ? - -"
        ).split()
    )
    answers = [task.vocabulary[token] for token in batch.targets[batch.answer_mask].tolist()]
    assert answers == [where, where, there]
    refreshed = [word for word, keep in zip(words, batch.refresh_mask[:, 0].tolist(), strict=True) if keep]
    assert refreshed == f"{who} moved to the {where} {words[6]} took the apple to the {there}".split()
    assert torch.equal(batch.refresh_target, batch.inputs)
    assert batch.first_answer_step == words.index("-")


def test_scores(joint):
    """Wrong in one word of a two-word answer: that question is wrong, the other word still counts."""
    batch = joint.batch(0, 8, seed=0, split="test")
    output = perfect_output(joint, batch)
    row = int((batch.source == 3).nonzero()[0])
    last = int(batch.lengths[row]) - 1
    output[last, row, batch.targets[last, row]] = -1
    scores = {name: tuple(map(float, score)) for name, score in joint.scores(output, batch).items()}
    of_three = 2 * int((batch.source == 3).sum())
    assert scores == {
        "question_accuracy": (15, 16),
        "word_accuracy": (23, 24),
        "error_qa1": (0, 16 - of_three),
        "error_qa3": (1, of_three),
    }


def test_single_task_has_no_error_per_task(folder):
    task = tasks.make("babi", tasks=[1], data=folder, allow_partial=True)
    batch = task.batch(0, 2, seed=0)
    assert list(task.scores(perfect_output(task, batch), batch)) == ["question_accuracy", "word_accuracy"]


def test_batch_moves_with_its_source(joint):
    moved = joint.batch(0, 2, seed=0).to("meta")
    assert moved.source.device.type == "meta"
    assert moved.lengths.device.type == "cpu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": []}, "tasks must be different numbers from 1 to 20"),
        ({"tasks": [0]}, "tasks must be"),
        ({"tasks": [1, 1]}, "tasks must be"),
        ({"tasks": [21]}, "tasks must be"),
        ({"holdout": 1.0}, "holdout must be at least 0 and below 1"),
        ({"loss": "bit"}, "unknown loss 'bit'"),
        ({"buckets": 0}, "buckets must be an integer of at least 1"),
    ],
)
def test_bad_options(options, message, folder):
    with pytest.raises(OptionError, match=message):
        tasks.make("babi", data=folder, allow_partial=True, **options)


def test_missing_data_is_one_clear_error(monkeypatch):
    monkeypatch.delenv("TORCHMANN_DATA", raising=False)
    with pytest.raises(DataError, match=r"bAbI: .*TORCHMANN_DATA.*--task\.data PATH"):
        tasks.make("babi", tasks=[1])


# The published data, where a data folder is at hand.


needs_published_data = pytest.mark.skipif(
    not (Path(os.environ.get("TORCHMANN_DATA", "nowhere")) / "babi").is_dir(),
    reason="TORCHMANN_DATA names no folder with babi/",
)


@needs_published_data
def test_published_single_task():
    task = tasks.make("babi", tasks=[1])
    assert task.input_size == 160
    assert [task.example_count(split) for split in tasks.SPLITS] == [1800, 200, 200]
    batch = task.batch(0, 32, seed=0)
    assert (batch.answer_mask.sum(0) == 5).all()
    assert batch.inputs.shape[0] <= 93


@needs_published_data
def test_published_joint_run():
    """dam.md 4.6: vocabulary 160, 6,267 test stories, 62,493 training stories of 800 tokens at most."""
    task = tasks.make("babi", allow_partial=True, holdout=0.0)
    assert task.input_size == 160
    assert task.example_count("test") == 6267
    per_task = task._stories.source[task._rows["train"]].bincount()
    without_3 = int(per_task.sum() - per_task[3])
    assert without_3 == 60_660
    if task.example_count("train") != 62_493:  # task 3's training file is partial in some copies
        with pytest.raises(DataError, match=r"qa3.* is partial.*allow-partial"):
            tasks.make("babi", tasks=[3])
    batch = task.batch(0, 64, seed=0)
    assert (batch.inputs == PERIOD).any()
    assert (batch.inputs == QUESTION).sum() <= (batch.inputs == ANSWER).sum()
    assert batch.inputs.shape[0] <= 800
