from __future__ import annotations

import io
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.document_files import write_reviews, write_tables

import torchmann as tm
from torchmann import tasks
from torchmann.core.errors import DataError, OptionError
from torchmann.core.references import REFERENCES
from torchmann.data.cache import VARIABLE as CACHE
from torchmann.data.documents import TABLES
from torchmann.data.tokens import UNKNOWN, tokenise
from torchmann.tasks.check import perfect_output
from torchmann.training import Choice, Config, RunDirectory, Settings, load_run, resume_run, train_run

NAMES = ("ag-news", "yelp-polarity", "yelp-full", "dbpedia", "yahoo-answers")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_tables(tmp_path_factory.mktemp("documents") / "ag_news", train=100, test=23))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "vectors.txt"
    path.write_text("the 1 2 3 4 5\nmarket -1 -2 -3 -4 -5\n")
    return path


def make(folder, **options):
    return tasks.make("ag-news", **{"data": folder, "allow_partial": True, **options})


def lines(folder, split):
    """The documents of a split, by a plain reading of the table: class and words."""
    with open(f"{folder}/{split}.csv") as file:
        fields = [line.strip().strip('"').split('","') for line in file]
    return [(int(label) - 1, tokenise(" ".join(texts))) for label, *texts in fields]


def seen(task, batch):
    """The rows of a batch as class and words."""
    found = []
    for row in range(batch.batch_size):
        steps = range(int(batch.lengths[row]) - task.answer_step)
        words = [task.vocabulary[batch.inputs[step, row]] for step in steps]
        found.append((int(batch.targets[batch.lengths[row] - 1, row]), words))
    return found


def every_row(task, split, batch_size=7):
    batches = [task.batch(k, batch_size, seed=0, split=split) for k in range(task.batches(split, batch_size))]
    return [row for batch in batches for row in seen(task, batch)]


@pytest.mark.parametrize("preset", ["", "/uw", "/region_embedding"])
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, preset, tmp_path):
    cls, _ = tasks.find(name)
    table = TABLES[cls.data_set]
    folder = write_tables(tmp_path / "set", classes=len(table.classes), texts=table.texts)
    task = tasks.make(name + preset, data=str(folder), allow_partial=True)
    tasks.check_task(task)
    assert task.output_size == len(task.classes) == len(table.classes)
    assert task.input_size == task.refresh_size == len(task.vocabulary)
    assert set(cls.presets) | set(cls.references) <= set(REFERENCES)


@pytest.mark.parametrize("options", [{"buckets": 1}, {"max_tokens": 1}, {"answer_step": True, "max_tokens": 5}])
def test_contract_of_options(folder, options):
    tasks.check_task(make(folder, **options))


def test_contract_of_reviews(tmp_path):
    write_reviews(tmp_path, count=15)
    for name in ("imdb", "imdb/uw"):
        task = tasks.make(name, data=str(tmp_path), allow_partial=True)
        tasks.check_task(task)
        assert task.classes == ("negative", "positive")


def test_longest_documents_of_region_embedding():
    longest = {name: tasks.find(f"{name}/region_embedding")[1]["max_tokens"] + 4 for name in NAMES}
    assert longest == dict(zip(NAMES, (256, 1024, 1024, 256, 1024), strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.one_of(st.none(), st.integers(1, 30)), st.booleans(), st.integers(1, 4), st.integers(0, 3))
def test_batches_show_documents_and_ask_once(folder, batch_size, max_tokens, answer_step, buckets, index):
    task = make(folder, max_tokens=max_tokens, answer_step=answer_step, buckets=buckets, min_documents=1)
    cut = [(label, words[:max_tokens]) for label, words in lines(folder, "train")]
    batch = task.batch(index, batch_size, seed=3)
    assert all(row in cut for row in seen(task, batch))
    for row in range(batch.batch_size):
        length = int(batch.lengths[row])
        asked = batch.answer_mask[:, row].nonzero().flatten().tolist()
        assert asked == [length - 1]
        assert (int(batch.inputs[length - 1, row]) == 0) == answer_step
        words = length - answer_step
        assert batch.inputs[:words, row].all() and not batch.inputs[words:, row].any()
    assert torch.equal(batch.refresh_mask, batch.inputs > UNKNOWN)
    assert torch.equal(batch.refresh_target, batch.inputs)
    assert batch.first_answer_step == int(batch.lengths.min()) - 1
    assert task.story_steps == max(len(words) for _, words in cut) - (not answer_step)


def test_splits(folder):
    task = make(folder, min_documents=1)
    assert [task.example_count(split) for split in tasks.SPLITS] == [90, 10, 23]
    train, validation = lines(folder, "train"), every_row(task, "validation")
    assert all(row in train for row in validation)
    epoch = [row for k in range(90 // 6) for row in seen(task, task.batch(k, 6, seed=0))]
    key = repr
    assert sorted([*epoch, *validation], key=key) == sorted(train, key=key)  # every document once
    assert len({label for label, _ in validation}) > 1  # files sorted by class are no trouble
    known = [
        (label, [w if w in task.vocabulary else "<unknown>" for w in words]) for label, words in lines(folder, "test")
    ]
    assert sorted(every_row(task, "test"), key=key) == sorted(known, key=key)
    assert every_row(make(folder, min_documents=1), "validation") == validation


@pytest.mark.parametrize(("holdout", "kept"), [(0.0, 0), (0.25, 25), (1.0, 1), (40, 40)])
def test_holdout_is_a_share_or_a_count(folder, holdout, kept):
    task = make(folder, holdout=holdout)
    assert [task.example_count(split) for split in tasks.SPLITS] == [100 - kept, kept, 23]


@pytest.mark.parametrize("holdout", [-0.1, 100, 1.5, float("nan")])
def test_bad_holdout(folder, holdout):
    with pytest.raises(OptionError, match="holdout must be a share below 1, or a number of documents below 100"):
        make(folder, holdout=holdout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be an integer of at least 1, got 0"),
        ({"buckets": 0}, "buckets must be an integer of at least 1, got 0"),
        ({"min_documents": 0}, "min_documents must be an integer of at least 1, got 0"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(OptionError, match=message):
        make(folder, **options)


def test_data_that_is_partial_or_absent_is_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"train\.csv is partial: 100 of 120,000 documents.*--allow-partial"):
        make(folder, allow_partial=False)
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    for name in ("ag-news", "imdb", *NAMES):
        with pytest.raises(DataError, match=f"torchmann download {tasks.TASKS[name].data_set}"):
            tasks.make(name)


def test_buckets_leave_little_padding(folder):
    def padding(task, split="train"):
        batches = [task.batch(k, 10, seed=0, split=split) for k in range(2 if split == "test" else 9)]
        steps = sum(batch.inputs.numel() for batch in batches)
        return 1 - sum(int(batch.lengths.sum()) for batch in batches) / steps

    sorted_, random = make(folder, buckets=20), make(folder, buckets=1)
    assert padding(sorted_) < padding(random) / 2
    assert padding(sorted_, "test") < padding(random, "test")
    assert sorted(map(repr, every_row(sorted_, "test"))) == sorted(map(repr, every_row(random, "test")))


def test_scores(folder):
    task = make(folder)
    batch = task.batch(0, 8, seed=0)
    output = perfect_output(task, batch)
    last = int(batch.lengths[2]) - 1
    output[last, 2] = 0
    output[last, 2, (batch.targets[last, 2] + 1) % 4] = 1
    scores = task.scores(output, batch)
    assert [float(part) for part in scores["accuracy"]] == [7, 8]
    expected = torch.nn.functional.cross_entropy(output[last, 2], batch.targets[last, 2])
    assert float(scores["cross_entropy"].total) == pytest.approx(float(expected), abs=1e-5)
    assert float(task.loss(output, batch)) == pytest.approx(float(expected) / 8, abs=1e-5)


def config(folder, **options):
    return Config(
        task=Choice("ag-news", {"data": folder, "allow_partial": True, "max_tokens": 12, **options}),
        model=Choice("lstm", {"hidden_size": 8, "embedding_size": 5, "freeze_embedding": "vectors" in options}),
        settings=Settings(
            iterations=14, batch_size=6, checkpoint_every=5, evaluate_every=7, evaluation_batches=1, log_every=2
        ),
    )


def test_a_run_goes_on_exactly(folder, tmp_path):
    whole = train_run(config(folder), tmp_path / "whole", stream=io.StringIO())
    part = config(folder)
    part = Config(part.task, part.model, part.optimiser, Settings(**{**vars(part.settings), "iterations": 5}))
    train_run(part, tmp_path / "part", stream=io.StringIO())
    resume_run(tmp_path / "part", iterations=14, stream=io.StringIO())
    weights = [load_run(RunDirectory.open(tmp_path / name))[2].state_dict() for name in ("whole", "part")]
    assert whole.iteration == 14
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_word_vectors_start_the_embedding_and_are_not_needed_to_load(folder, vectors, tmp_path):
    task = make(folder, vectors=str(vectors))
    model = config(folder, vectors=str(vectors)).build_model(task)
    words = {word: number for number, word in enumerate(task.vocabulary)}
    assert model.encoder.weight.shape == (task.input_size, 5)
    assert model.encoder.weight[words["the"]].tolist() == [1, 2, 3, 4, 5]
    assert not model.encoder.weight[0].any() and not model.encoder.weight.requires_grad
    assert make(folder).word_vectors is None
    gone = tmp_path / "gone.txt"
    gone.write_bytes(vectors.read_bytes())
    train_run(config(folder, vectors=str(gone)), tmp_path / "run", stream=io.StringIO())
    gone.unlink()
    stored = tm.load(tmp_path / "run/model.safetensors")
    assert torch.equal(stored.encoder.weight, task.word_vectors)  # frozen, so still the same
    assert not stored.encoder.weight.requires_grad
    with pytest.raises(DataError, match=r"gone\.txt do not exist"):
        load_run(RunDirectory.open(tmp_path / "run"))


@pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="needs the real data set")
def test_the_published_documents():
    try:
        task = tasks.make("ag-news/region_embedding", allow_partial=True)
    except DataError as error:
        pytest.skip(str(error))
    tasks.check_task(task)
    assert task.example_count("test") == 7_600
    assert task.story_steps <= 252
