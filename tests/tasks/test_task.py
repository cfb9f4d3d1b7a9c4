from __future__ import annotations

import pytest
import torch
from jsonargparse import ArgumentParser

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks import SPLITS, random_stream

SYNTHETIC = [name for name in tasks.names() if not tasks.find(name)[0].needs_data]


@pytest.mark.parametrize("name", SYNTHETIC)
def test_task_keeps_the_contract(name):
    tasks.check_task(tasks.make(name))


def test_names():
    assert set(tasks.names()) >= {"copy", "copy/dam", "copy/armin", "copy/ntm", "repeat-copy", "recall", "babi"}
    assert tasks.names() == sorted(tasks.names())


def test_make_merges_options_over_the_preset():
    task = tasks.make("copy/dam", max_length=9)
    assert (task.bits, task.min_length, task.max_length, task.flag_targets) == (8, 8, 9, True)
    assert tasks.Copy.presets["dam"]["max_length"] == 32


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("coppy", {}, "unknown task 'coppy': did you mean 'copy'"),
        ("copy/damm", {}, "did you mean 'copy/dam'"),
        ("copy/", {}, "unknown task 'copy/'"),
        ("copy", {"bit": 3}, "option of task 'copy': 'bit': did you mean 'bits'"),
        ("copy", {"bits": 0}, "bits must be an integer of at least 1, got 0"),
        ("copy", {"min_length": 0}, "1 <= min_length <= max_length, got min_length=0"),
        ("copy", {"min_length": 9, "max_length": 8}, "got min_length=9 and max_length=8"),
        ("copy", {"loss": "word"}, "unknown loss 'word'.*bit, episode, step"),
        ("repeat-copy", {"max_repeats": 0}, "min_repeats=1 and max_repeats=0"),
        ("repeat-copy", {"repeat_scale": 0.0}, "repeat_scale must be above 0"),
        ("recall", {"min_items": 1}, "2 <= min_items"),
        ("recall", {"item_length": 0}, "item_length"),
        ("recall", {"max_queries": 0}, "max_queries must be at least 1"),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make(name, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "unknown split 'dev'"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"index": -1}, "index of a batch must be at least 0"),
    ],
)
def test_bad_requests(arguments, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("copy").batch(**{"index": 0, "batch_size": 2, "seed": 0, **arguments})


def test_streams_are_the_same_on_every_machine_and_disjoint_between_splits():
    # Fixed values: a change of the hash would silently change all data.
    seeds = [random_stream(0, "train", 0), random_stream(7, "validation", 3), random_stream(2, "test", 1)]
    assert [stream.initial_seed() for stream in seeds] == [3444716444, 2593719145, 839663726]
    drawn = {split: {random_stream(0, split, k).initial_seed() for k in range(2000)} for split in SPLITS}
    assert not drawn["train"] & (drawn["validation"] | drawn["test"])
    assert len(drawn["train"]) > 1990
    assert random_stream(0, "train", 11).initial_seed() != random_stream(1, "train", 1).initial_seed()


def test_batch_moves_but_its_lengths_stay():
    batch = tasks.make("copy").batch(0, 2, seed=0)
    moved = batch.to("meta")
    assert moved.inputs.device.type == moved.answer_mask.device.type == "meta"
    assert moved.lengths.device.type == "cpu"
    assert moved.batch_size == 2
    assert moved.first_answer_step == batch.first_answer_step


def test_synthetic_splits_never_end():
    assert [tasks.make("copy").batches(split, 4) for split in SPLITS] == [None, None, None]


@pytest.mark.parametrize("name", tasks.TASKS)
def test_command_line_is_built_from_the_constructor(name):
    cls, _ = tasks.find(name)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, "task")
    arguments = {
        "copy": ["--task.bits=3", "--task.loss=step", "--task.flags_first=true"],
        "repeat-copy": ["--task.repeat_scale=2.5"],
        "recall": ["--task.max_queries=null"],
        "babi": ["--task.tasks=[1, 2]", "--task.allow_partial=true"],
        "babi-sentences": ["--task.recent=70", "--task.buckets=50"],
        "ptb": ["--task.convention=characters", "--task.steps=100"],
        "enwik8": ["--task.steps=100", "--task.allow_partial=true"],
        "text8": ["--task.steps=100"],
        "mnist": ["--task.validation=6000", "--task.pixels_per_step=28"],
        "pmnist": ["--task.permutation_seed=92916"],
        "priority-sort": ["--task.answers=3", "--task.mode=released", "--task.loss=episode"],
        "ngram": ["--task.context=1", "--task.loss=step"],
        "symbol-copy": ["--task.max_length=4"],
        "double": ["--task.symbols=4"],
        "reverse": ["--task.min_length=2"],
        "add": ["--task.symbols=5"],
        "max": ["--task.symbols=50"],
        "representation-recall": ["--task.segments=16", "--task.generator=released"],
        "nth-farthest": ["--task.dimensions=4"],
        "convex-hull": ["--task.max_points=10", "--task.encoding=stm", "--task.files=test"],
        "sinusoid": ["--task.noise=2.0", "--task.show_x=false"],
        "markov": ["--task.symbols=4", "--task.regularity=0.5"],
        "ag-news": ["--task.max_tokens=60", "--task.allow_partial=true"],
        "imdb": ["--task.holdout=2500.0", "--task.answer_step=true"],
        "yelp-polarity": ["--task.buckets=50"],
        "yelp-full": ["--task.vectors=glove"],
        "dbpedia": ["--task.min_documents=5"],
        "yahoo-answers": ["--task.max_tokens=null"],
    }[name]
    given = parser.parse_args(arguments).task.as_dict()
    for argument in arguments:
        option, value = argument.removeprefix("--task.").split("=")
        assert str(given[option]).lower() == value.replace("null", "none")
    for option in given:
        assert f"--task.{option}" in parser.format_help()
    assert "type:" in parser.format_help()
    with pytest.raises(Exception, match="loss"):
        parser.parse_args(["--task.loss=nothing"])


def test_global_random_numbers_do_not_matter():
    torch.manual_seed(0)
    first = tasks.make("recall").batch(0, 4, seed=0).inputs
    torch.manual_seed(1)
    assert torch.equal(first, tasks.make("recall").batch(0, 4, seed=0).inputs)
