from __future__ import annotations

import gzip
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from tests.data.babi_files import pack, story, write_folder

from torchmann.core.errors import DataError
from torchmann.data import babi
from torchmann.data.babi import ANSWER, SPECIAL, load_babi

STORIES = (
    "1 Mary moved to the bathroom.\n"
    "2 Where is Mary? \tbathroom\t1\n"
    "3 John took the apple, and the milk.\n"
    "4 What is John carrying?\tapple,milk\t3\n"
    "1 Is 7 a number?\tyes\t\n"
)
# What dam.md 4.6 makes of them, written by hand: input words, target words, question words.
INPUTS = ["mary", "moved", "to", "the", "bathroom", ".", "where", "is", "mary", "?", "-"]
INPUTS += ["john", "took", "the", "apple", "and", "the", "milk", "."]
INPUTS += ["what", "is", "john", "carrying", "?", "-", "-"]
TARGETS = {10: "bathroom", 24: "apple", 25: "milk"}
ASKING = {*range(6, 10), *range(19, 24)}


def words(vocabulary, tokens):
    return [vocabulary[token] for token in tokens.tolist()]


@pytest.fixture
def base(tmp_path):
    return write_folder(tmp_path, tasks=(1, 2))


def test_preprocessing(base):
    (base / "en-10k/qa1_made-up_train.txt").write_text(STORIES)
    vocabulary, _, files = load_babi([1], base, allow_partial=True)
    stories = files[1, "train"]
    assert stories.offsets.tolist() == [0, 26, 26 + 5]
    assert words(vocabulary, stories.tokens[:26]) == INPUTS
    assert words(vocabulary, stories.tokens[26:]) == ["is", "a", "number", "?", "-"]
    expected = [TARGETS.get(place, SPECIAL[0]) for place in range(26)]
    assert words(vocabulary, stories.answers[:26]) == expected
    assert set(stories.asking[:26].nonzero().flatten().tolist()) == ASKING
    assert stories.source.tolist() == [1, 1]
    assert (stories.tokens == ANSWER).sum() == 4


def test_vocabulary_is_over_all_files_whatever_the_tasks(base):
    (base / "en-10k/qa2_made-up_test.txt").write_text("1 Zebras graze. \n2 Who? \tZebras,7\t1\n")
    (base / "en-10k/readme.txt").write_text("unrelated")
    vocabulary, _, files = load_babi([1], base, allow_partial=True)
    assert vocabulary[:4] == SPECIAL
    assert list(vocabulary[4:]) == sorted(vocabulary[4:])
    assert {"zebras", "graze", "who"} <= set(vocabulary)
    assert not {"unrelated", "7", "Zebras"} & set(vocabulary)
    assert set(files) == {(1, "train"), (1, "test")}
    assert load_babi([2], base, allow_partial=True).vocabulary == vocabulary


def test_joined_answers_are_those_of_all_files(base):
    (base / "en-10k/qa2_made-up_test.txt").write_text("1 Who? \tMary,John,Sandra\t1 2\n2 Where? \tS,W\t1 2\n")
    found = load_babi([1], base, allow_partial=True)
    names = set(found.joined_answers)
    assert {"mary,john,sandra", "s,w", "garden,garden"} <= names
    assert list(found.joined_answers) == sorted(names) and all("," in name for name in names)


def test_a_file_is_parsed_once(base, monkeypatch):
    """The second call takes what the first has kept; what is allowed is asked each time."""
    first = load_babi([2, 1], base, allow_partial=True)
    monkeypatch.setattr(babi, "_read", None)
    again = load_babi([1, 2], base, allow_partial=True)
    assert again[:2] == first[:2] and again.stories.keys() == first.stories.keys()
    for key, stories in first.stories.items():
        for name, value in vars(stories).items():
            assert torch.equal(getattr(again.stories[key], name), value) and value.dtype == vars(stories)[name].dtype
    with pytest.raises(DataError, match=r"is partial: 80 of 10,000"):
        load_babi([1, 2], base)
    monkeypatch.undo()
    (base / "en-10k/qa1_made-up_test.txt").write_text(STORIES)
    assert len(load_babi([1, 2], base, allow_partial=True).stories[1, "test"]) == 2


def load_in_a_process(base):
    return int(load_babi([1, 2], base, allow_partial=True).stories[2, "train"].tokens.sum())


def test_processes_at_once_read_the_same(base):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        sums = set(pool.map(load_in_a_process, [base] * 2))
    assert sums == {load_in_a_process(base)}


@pytest.mark.parametrize("folder", [".", "en-10k", ".."])
def test_folder_may_be_given_at_three_levels(base, folder):
    assert len(load_babi([1], base / folder, allow_partial=True).stories[1, "train"]) == 40


@pytest.mark.parametrize("name", ["tasks_1-20_v1-2_en_en-10k.tar.gz", "tasks_1-20_v1-2.tar.gz"])
def test_archive_under_the_data_folder_reads_as_its_folder(base, tmp_path, monkeypatch, name):
    pack(base, tmp_path / "data/babi" / name)
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "data"))
    vocabulary, _, files = load_babi([1, 2], None, allow_partial=True)
    unpacked_vocabulary, _, unpacked = load_babi([1, 2], base, allow_partial=True)
    assert vocabulary == unpacked_vocabulary
    for key, stories in files.items():
        assert stories.tokens.equal(unpacked[key].tokens)
        assert stories.offsets.equal(unpacked[key].offsets)


def test_partial_file_is_refused_unless_allowed(base):
    with pytest.raises(DataError, match=r"train.txt is partial: 80 of 10,000 .*--allow-partial"):
        load_babi([1], base)
    assert len(load_babi([1], base, allow_partial=True).stories[1, "train"]) == 40


def test_partial_directory_stands_in_only_where_the_file_is_missing(base):
    write_folder(base.parent, tasks=(1, 3), stories=8, name="en-10k-qa3-partial")
    files = load_babi([1, 3], base, allow_partial=True).stories
    assert len(files[1, "train"]) == 40
    assert len(files[3, "train"]) == 8


def test_complete_files_need_no_permission(base):
    folder = base / "en-10k"
    (folder / "qa1_made-up_train.txt").write_text("".join(story(k) for k in range(5000)))
    (folder / "qa1_made-up_test.txt").write_text("".join(story(k) for k in range(500)))
    files = load_babi([1], base).stories
    assert (len(files[1, "train"]), len(files[1, "test"])) == (5000, 500)


def test_missing_task_and_missing_data(base, tmp_path):
    with pytest.raises(DataError, match="no train file of bAbI task 5"):
        load_babi([5], base, allow_partial=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no bAbI files"):
        load_babi([1], tmp_path / "empty")


@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.9])
def test_truncated_archive(base, tmp_path, kept):
    archive = pack(base, tmp_path / "babi.tar.gz")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"babi\.tar\.gz is damaged.* Get it again"):
        load_babi([1], archive, allow_partial=True)


def test_damaged_archive(base, tmp_path):
    archive = pack(base, tmp_path / "babi.tar.gz")
    content = bytearray(archive.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"babi\.tar\.gz"):
        load_babi([1], archive, allow_partial=True)


@pytest.mark.parametrize("content", [b"not an archive", gzip.compress(b"not a tar either", mtime=0)])
def test_something_else_than_an_archive(tmp_path, content):
    (tmp_path / "babi.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged, or is not what its name says"):
        load_babi([1], tmp_path / "babi.tar.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 Mary mov\xff\xfe.\n", "is not UTF-8 text"),
        (b"", "holds no question"),
        (b"1 Mary moved.\n", "holds no question"),
        (b"1 Mary moved to the", "line 1: not the next numbered"),  # cut in the middle
        (b"1 Where is Mary?\n", "line 1: not the next numbered"),  # question without an answer
        (b"1 Where is Mary?\t.\t1\n", "line 1: not the next numbered"),  # nor is this one
        (b"2 Mary moved.\n", "line 1: not the next numbered"),  # the beginning is gone
        (b"1 Mary moved.\n3 Mary moved.\n", "line 2: not the next numbered"),
        (b"1 Mary moved.\n\n2 Mary moved.\n", "line 2: not the next numbered"),
        (b"<html>Not found.</html>\n", "line 1: not the next numbered"),
    ],
)
def test_corrupt_text(base, content, message):
    (base / "en-10k/qa1_made-up_train.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"qa1_made-up_train\.txt.*{message}"):
        load_babi([1], base, allow_partial=True)
