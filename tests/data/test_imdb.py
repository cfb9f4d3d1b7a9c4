from __future__ import annotations

import os

import pytest
from tests.data.document_files import pack, write_reviews

from torchmann.core.errors import DataError
from torchmann.data import imdb
from torchmann.data.cache import VARIABLE as CACHE
from torchmann.data.imdb import load_imdb
from torchmann.data.tokens import tokenise

PARTIAL = {"allow_partial": True, "min_documents": 1}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return write_reviews(tmp_path / "imdb", count=12)


def review(corpus, number):
    found = corpus.documents
    return [corpus.vocabulary[token] for token in found.tokens[found.offsets[number] : found.offsets[number + 1]]]


def test_reviews_in_the_order_of_class_and_number(folder):
    corpus = load_imdb(folder, **PARTIAL)
    assert corpus.counts == {"train": 24, "test": 24}
    assert corpus.documents.labels.tolist() == ([0] * 12 + [1] * 12) * 2
    for place, (split, name, number) in enumerate(
        (split, name, number) for split in ("train", "test") for name in ("neg", "pos") for number in range(12)
    ):
        text = next((folder / split / name).glob(f"{number}_*.txt")).read_text()
        expected = (
            tokenise(text)
            if split == "train"
            else [w if w in corpus.vocabulary else "<unknown>" for w in tokenise(text)]
        )
        assert review(corpus, place) == expected


def test_line_breaks_are_no_words(folder):
    (folder / "train/neg/0_2.txt").write_text("Bad.<br /><br />Very bad, br.")
    assert review(load_imdb(folder, **PARTIAL), 0) == ["bad", ".", "very", "bad", ",", "br", "."]


@pytest.mark.parametrize("name", ["aclImdb_v1.tar.gz", "aclImdb_labelled.tar.xz"])
def test_archive_under_the_data_folder_reads_as_its_folder(folder, tmp_path, monkeypatch, name):
    (folder / "train/unsup").mkdir()
    (folder / "train/unsup/0_0.txt").write_text("without a class")
    (folder / "train/labeledBow.feat").write_text("0:1")
    archive = pack(folder, tmp_path / "data/imdb" / name)
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "data"))
    expected = load_imdb(folder, **PARTIAL)
    for corpus in (load_imdb(**PARTIAL), load_imdb(archive, **PARTIAL), load_imdb(folder.parent, **PARTIAL)):
        assert corpus.vocabulary == expected.vocabulary
        assert corpus.documents.tokens.equal(expected.documents.tokens)
        assert corpus.documents.labels.equal(expected.documents.labels)


def test_parsed_once(folder, monkeypatch):
    load_imdb(folder, **PARTIAL)
    monkeypatch.setattr(imdb, "_read", lambda found: pytest.fail("parsed again"))
    load_imdb(folder, **PARTIAL)
    (folder / "train/neg/0_2.txt").write_text("changed")
    with pytest.raises(pytest.fail.Exception):
        load_imdb(folder, **PARTIAL)


def test_fewer_reviews_than_published_are_refused_unless_allowed(folder):
    with pytest.raises(DataError, match=r"aclImdb \(train\) is partial: 24 of 25,000 reviews.*--allow-partial"):
        load_imdb(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0_2.txt is empty"), (b" \n", "0_2.txt is empty"), (b"caf\xe9", "0_2.txt is not UTF-8 text")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_reviews(folder, tmp_path, content, message, packed):
    (folder / "train/neg/0_2.txt").write_bytes(content)
    path = pack(folder, tmp_path / "aclImdb.tar.gz") if packed else folder
    with pytest.raises(DataError, match=message):
        load_imdb(path, **PARTIAL)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz"])
def test_truncated_archives(folder, tmp_path, kept, ending):
    archive = pack(folder, tmp_path / f"aclImdb{ending}")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"aclImdb\.tar\..*again"):
        load_imdb(archive, **PARTIAL)


def test_what_is_not_there(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=r"IMDb: .*torchmann download imdb"):
        load_imdb()
    for file in (folder / "test").glob("*/*.txt"):
        file.unlink()
    with pytest.raises(DataError, match=r"holds no reviews test/pos/\*\.txt or test/neg"):
        load_imdb(folder, **PARTIAL)
    (folder / "test/pos").rmdir()
    with pytest.raises(DataError, match=r"holds neither the folder aclImdb .* nor an archive"):
        load_imdb(folder, **PARTIAL)


@pytest.mark.slow
@pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="needs the real data set")
def test_the_published_reviews():
    try:
        corpus = load_imdb()
    except DataError as error:
        pytest.skip(str(error))
    assert corpus.counts == {"train": 25_000, "test": 25_000}
    assert corpus.documents.labels[:25_000].bincount().tolist() == [12_500, 12_500]
    assert corpus.documents.labels[25_000:].bincount().tolist() == [12_500, 12_500]
    assert len(corpus.vocabulary) == 46_537
    assert " ".join(review(corpus, 12_500)[:7]) == "bromwell high is a cartoon comedy ."
