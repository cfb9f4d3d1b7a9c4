from __future__ import annotations

import random
import time
import zipfile

import pytest
import torch

from torchmann.core.errors import DataError
from torchmann.data import glove
from torchmann.data.cache import VARIABLE as CACHE
from torchmann.data.glove import SCALE, load_vectors

VOCABULARY = ("<pad>", "<unknown>", "the", ",", "plot", "twist")
LINES = ["the 0.5 -1 2e-1", ". . . 1 2 3", "café 1 1 1", ", 1 2 3", "plot 4 5 6", "the 9 9 9", "other 7 8 9"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_vectors_of_the_words_there_are(file):
    vectors = load_vectors(file, VOCABULARY)
    expected = torch.tensor([[0.0, 0, 0], [0.5, -1, 0.2], [1, 2, 3], [4, 5, 6]])  # the first of two for "the"
    assert torch.equal(vectors[[0, 2, 3, 4]], expected)
    assert (vectors[[1, 5]] != 0).all() and vectors.dtype == torch.float32


def test_words_without_a_vector_get_small_normal_numbers_always_the_same(file):
    vocabulary = ("<pad>", "the", *(f"word{number}" for number in range(3_000)))
    vectors = load_vectors(file, vocabulary)
    drawn = vectors[2:]
    assert abs(drawn.mean()) < 0.01 and abs(drawn.std() - SCALE) < 0.01
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert torch.equal(glove._read(file, vocabulary), vectors)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("how", ["file", "folder", "name"])
def test_places(file, tmp_path, monkeypatch, packed, how):
    folder = tmp_path / "data/glove"
    folder.mkdir(parents=True)
    placed = folder / ("glove.zip" if packed else "glove.txt")
    if packed:
        with zipfile.ZipFile(placed, "w") as archive:
            archive.write(file, "glove.840B.300d.txt")
    else:
        placed.write_bytes(file.read_bytes())
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "data"))
    path = {"file": placed, "folder": folder, "name": "glove"}[how]
    assert torch.equal(load_vectors(path, VOCABULARY), load_vectors(file, VOCABULARY))


def test_read_once_for_a_vocabulary(file, monkeypatch):
    first = load_vectors(file, VOCABULARY)
    reads = []
    read = glove._read
    monkeypatch.setattr(glove, "_read", lambda *arguments: reads.append(1) or read(*arguments))
    assert torch.equal(load_vectors(file, VOCABULARY), first) and not reads
    load_vectors(file, VOCABULARY[:-1])
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a vector for none of the 5 words: it is empty"),
        ("one 1 2 3\n", "a vector for none of the 5 words"),
        ("400000 3\nthe 1 2 3\n", "a vector for none of the 5 words"),  # the first line of another format
        ("the\n", "line 1: 0 numbers after the word, some wanted"),
        ("the 1 2 3\nplot 1 2\n", "line 2: 2 numbers after the word, 3 wanted"),
        ("the 1 2 3\nplot 1 2 3\nother 1", "line 3: 1 numbers after the word, 3 wanted"),  # cut in the middle
        ("the 1 2 3\n\nplot 1 2 3\n", "line 2: 0 numbers after the word, 3 wanted"),
        ("the 1 2 three\n", "line 1: could not convert string to float"),
        ("the 1 2 nan\n", "line 1: a number is not finite"),
        ("the 1 2 1e40\n", "line 1: a number is not finite"),
    ],
)
def test_damaged_lines(file, content, message):
    file.write_text(content)
    with pytest.raises(DataError, match=rf"vectors\.txt.*{message}"):
        load_vectors(file, VOCABULARY)


@pytest.mark.parametrize("damage", ["cut", "changed", "no archive"])
def test_damaged_archives(file, tmp_path, damage):
    archive = tmp_path / "vectors.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(file, "vectors.txt")
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        del content[-30:]
    elif damage == "changed":
        content[60:70] = bytes(10)
    else:
        content = bytearray(b"<html>")
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"vectors\.zip is damaged"):
        load_vectors(archive, VOCABULARY)


def test_what_is_not_there(file, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"none\.txt do not exist: give a \.txt or \.zip file of vectors, or 'glove'"):
        load_vectors(tmp_path / "none.txt", VOCABULARY)
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"GloVe: not found .*torchmann download glove"):
        load_vectors("glove", VOCABULARY)
    (tmp_path / "two.txt").touch()
    with pytest.raises(DataError, match=r"must hold one .* found two\.txt, vectors\.txt: give the file's path"):
        load_vectors(tmp_path, VOCABULARY)
    with zipfile.ZipFile(tmp_path / "several.zip", "w") as archive:
        archive.write(file, "6B.50d.txt")
        archive.write(file, "6B.100d.txt")
    with pytest.raises(DataError, match=r"must hold one \.txt file, found 6B\.50d\.txt, 6B\.100d\.txt: unpack it"):
        load_vectors(tmp_path / "several.zip", VOCABULARY)


def test_other_words_are_passed_over_quickly(tmp_path):
    draws = random.Random(0)
    numbers = " ".join(f"{draws.gauss(0, 1):.5f}" for _ in range(300))
    (tmp_path / "large.txt").write_text("the " + numbers + "\n" + "".join(f"w{n} {numbers}\n" for n in range(20_000)))
    start = time.perf_counter()
    assert load_vectors(tmp_path / "large.txt", VOCABULARY).shape == (6, 300)
    assert time.perf_counter() - start < 5  # parsing all numbers takes a few times as long
