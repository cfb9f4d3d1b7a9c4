"""Character language modelling: the tasks on texts written here, and on the published ones where they are at hand."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from tests.data.test_characters import needs, write_ptb

from torchmann import tasks
from torchmann.core.errors import DataError, OptionError

LINES = " the cat sat on the mat \n no it did n't say N of them \n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("texts")
    write_ptb(root / "ptb")
    for split, times in (("train", 40), ("valid", 4), ("test", 5)):
        (root / f"ptb/ptb.{split}.txt").write_text(LINES * times)
    (root / "enwik8").mkdir()
    (root / "enwik8/enwik8.head").write_bytes(bytes(range(32, 256)) * 20)
    (root / "text8").write_text("".join(filter(str.isalpha, LINES.lower())) * 60)
    return str(root)


@pytest.mark.parametrize("name", ["ptb", "ptb/armin", "enwik8", "enwik8/armin", "text8"])
def test_they_keep_the_contract(name: str, data: str) -> None:
    task = tasks.make(name, data=data, allow_partial=True)
    tasks.check_task(task)
    assert task.input_size == task.output_size == len(task.vocabulary)
    assert task.story_steps is None and isinstance(task, tasks.StreamTask)
    assert task.steps == 150


def test_rows_read_consecutive_parts_and_predict_the_next_character(data: str) -> None:
    task = tasks.make("ptb", data=data, allow_partial=True, steps=7)
    text, rows = LINES * 40, 3
    length = (len(text) - 1) // rows
    count = next(index for index in range(1, 1000) if task.position(index, rows) == 0)
    assert count == -(-length // 7)
    batches = [task.batch(index, rows, seed=5) for index in range(count)]
    for row in range(rows):
        part = text[row * length : (row + 1) * length + 1]
        for name, wanted in (("inputs", part[:-1]), ("targets", part[1:])):
            tokens = torch.cat([getattr(batch, name)[:, row] for batch in batches]).tolist()
            shown = "".join(task.vocabulary[token] for token in tokens)
            assert shown.replace("␣", " ").replace("⏎", "\n") == wanted
    assert all(batch.inputs.is_contiguous() and batch.targets.is_contiguous() for batch in batches)
    assert torch.equal(task.batch(count + 2, rows, seed=0).inputs, batches[2].inputs), "the text begins anew"


def test_bits_are_bits_per_character(data: str) -> None:
    task = tasks.make("text8", data=data, allow_partial=True)
    batch = task.batch(0, 2, seed=0)
    even = torch.zeros(*batch.inputs.shape, task.output_size)
    total, weight = task.scores(even, batch)["bits"]
    assert total / weight == pytest.approx(math.log2(task.output_size))


def test_a_part_is_refused_unless_allowed(data: str) -> None:
    for name in ("ptb", "enwik8", "text8"):
        with pytest.raises(DataError, match=r"is partial: .*--allow-partial"):
            tasks.make(name, data=data)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ptb", {"steps": 0}, "steps must be an integer of at least 1"),
        ("ptb", {"convention": "letters"}, "unknown convention 'letters'"),
        ("enwik8", {"convention": "words"}, "option of task 'enwik8': 'convention'"),
    ],
)
def test_bad_options(name: str, options: dict[str, object], message: str, data: str) -> None:
    with pytest.raises(OptionError, match=message):
        tasks.make(name, data=data, allow_partial=True, **options)


@pytest.mark.parametrize("name", ["ptb", "enwik8", "text8"])
def test_missing_data_is_one_clear_error(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"not found in .*torchmann download {name}"):
        tasks.make(name)


@needs("ptb")
@pytest.mark.parametrize("convention", ["words", "characters"])
def test_published_penn_treebank(convention: str) -> None:
    task = tasks.make("ptb/armin", convention=convention)
    tasks.check_task(task)
    assert task.output_size == 50
    assert task.batches("test", 1) == -(-(task.text_length("test") - 1) // 150)


@needs("enwik8")
def test_published_enwik8() -> None:
    complete = not any("head" in file.name for file in Path(os.environ["TORCHMANN_DATA"], "enwik8").iterdir())
    tasks.check_task(tasks.make("enwik8", allow_partial=not complete))
