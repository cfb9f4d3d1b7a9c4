from __future__ import annotations

import csv
import gzip
import hashlib
import multiprocessing
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.document_files import pack, rows, table, write_tables

from torchmann.core.errors import DataError
from torchmann.data import documents
from torchmann.data.cache import VARIABLE as CACHE
from torchmann.data.documents import TABLES, load_documents
from torchmann.data.sources import DATA_SETS
from torchmann.data.tokens import UNKNOWN, tokenise

PARTIAL = {"allow_partial": True, "min_documents": 1}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return write_tables(tmp_path / "ag_news")


def words(corpus, number):
    found = corpus.documents
    return [corpus.vocabulary[token] for token in found.tokens[found.offsets[number] : found.offsets[number + 1]]]


def same(left, right):
    if left.vocabulary != right.vocabulary or left.counts != right.counts:
        return False
    return all(value.equal(vars(right.documents)[name]) for name, value in vars(left.documents).items())


def test_texts_and_classes(folder):
    content = '"3","A ""quoted"" title","He said ""no"", then\\left; n\\new line."\n"1","Só","x\\\\y"\n'
    (folder / "train.csv").write_text(content)
    corpus = load_documents("ag_news", folder, **PARTIAL)
    assert corpus.documents.labels[:2].tolist() == [2, 0]
    assert " ".join(words(corpus, 0)) == "a quoted title he said no , then left n new line ."
    assert words(corpus, 1) == ["s", "x", "y"]


def test_in_ag_news_a_backslash_is_a_line_break_and_elsewhere_a_backslash_with_an_n(tmp_path):
    folder = write_tables(tmp_path / "yelp_review_full", classes=5, texts=1)
    (folder / "train.csv").write_text('"5","good\\n\\nfood"\n')
    assert words(load_documents("yelp_review_full", folder, **PARTIAL), 0) == ["good", "food"]
    folder = write_tables(tmp_path / "ag_news")
    (folder / "train.csv").write_text('"4","a lush","\\national park"\n')
    assert words(load_documents("ag_news", folder, **PARTIAL), 0) == ["a", "lush", "national", "park"]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 10), *[st.text(st.sampled_from('ab",.\\n é '), max_size=12)] * 3),
        min_size=1,
        max_size=6,
    )
)
def test_tables_as_the_csv_module_reads_them(tmp_path_factory, content):
    folder = write_tables(tmp_path_factory.mktemp("yahoo"), classes=10, texts=3)
    (folder / "train.csv").write_text(table([[str(label), *texts] for label, *texts in content]))
    corpus = load_documents("yahoo_answers", folder, **PARTIAL)
    with (folder / "train.csv").open(newline="") as file:
        expected = list(csv.reader(file))
    assert corpus.train == len(expected)
    for number, (label, *texts) in enumerate(expected):
        tokens = tokenise(" ".join(texts).replace("\\n", " "))
        assert corpus.documents.labels[number] == int(label) - 1
        assert words(corpus, number) == (tokens or [corpus.vocabulary[UNKNOWN]])


@pytest.mark.parametrize("name", TABLES)
def test_columns_and_classes_of_each_set(name, tmp_path):
    classes, texts = len(TABLES[name].classes), TABLES[name].texts
    folder = write_tables(tmp_path / name, classes=classes, texts=texts)
    corpus = load_documents(name, tmp_path, **PARTIAL)
    assert corpus.counts == {"train": 60, "test": 20}
    assert set(corpus.documents.labels.tolist()) == set(range(classes))
    (folder / "test.csv").write_text(table(rows(3, classes, texts + 1)))
    with pytest.raises(DataError, match=rf"test\.csv, line 1: {texts + 1} columns wanted, {texts + 2} found"):
        load_documents(name, tmp_path, **PARTIAL)
    assert name in DATA_SETS


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar.xz", ".tar"])
def test_packed_tables_read_as_they_are(tmp_path, ending):
    plain = write_tables(tmp_path / "dbpedia_csv", classes=14)
    packed = pack(plain, tmp_path / f"data/dbpedia/dbpedia_csv{ending}")
    expected = load_documents("dbpedia", plain, **PARTIAL)
    assert same(load_documents("dbpedia", packed, **PARTIAL), expected)
    assert same(load_documents("dbpedia", tmp_path / "data", **PARTIAL), expected)
    for split in ("train", "test"):
        content = (plain / f"{split}.csv").read_bytes()
        (plain / f"{split}.csv").unlink()
        (plain / f"{split}.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    assert same(load_documents("dbpedia", plain, **PARTIAL), expected)


def test_part_of_a_table_counts_only_where_the_whole_is_not(folder):
    (folder / "train_subset_9.csv").write_text(table(rows(9, 4, 2)))
    assert load_documents("ag_news", folder, **PARTIAL).train == 60
    (folder / "train.csv").unlink()
    assert load_documents("ag_news", folder, **PARTIAL).train == 9
    with pytest.raises(DataError, match=r"train_subset_9\.csv is partial: 9 of 120,000 documents.*--allow-partial"):
        load_documents("ag_news", folder)


def test_complete_tables_are_checked_by_their_published_checksum(folder, monkeypatch):
    small = documents.TABLES["ag_news"]._replace(rows={"train": 60, "test": 20})
    monkeypatch.setitem(documents.TABLES, "ag_news", small)
    with pytest.raises(DataError, match=r"train\.csv is not the published train\.csv: its checksum is another"):
        load_documents("ag_news", folder)
    assert load_documents("ag_news", folder, **PARTIAL).train == 60
    published = {split: hashlib.md5((folder / f"{split}.csv").read_bytes()).hexdigest() for split in documents.SPLITS}
    monkeypatch.setattr(documents, "_published", lambda name, split: f"md5:{published[split]}")
    monkeypatch.setenv(CACHE, str(folder / "another"))
    assert load_documents("ag_news", folder).train == 60


def test_a_table_longer_than_the_published_one_is_another(folder, monkeypatch):
    small = documents.TABLES["ag_news"]._replace(rows={"train": 59, "test": 20})
    monkeypatch.setitem(documents.TABLES, "ag_news", small)
    with pytest.raises(DataError, match=r"train\.csv has 60 documents, the published file 59"):
        load_documents("ag_news", folder, **PARTIAL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"train\.csv is empty"),
        (b'"1","a","b"\n"2","c"\n', "line 2: 3 columns wanted, 2 found"),
        (b'"1","a","b"\n\n', "line 2: 3 columns wanted, 0 found"),
        (b'"1","a","b"\n"5","a","b"\n', "line 2: a class from 1 to 4 wanted, '5' found"),
        (b'"0","a","b"\n', "line 1: a class from 1 to 4 wanted, '0' found"),
        (b'"class","title","text"\n', "line 1: a class from 1 to 4 wanted, 'class' found"),
        (b'"1","a","b"\n"2","caf\xe9","b"\n', "line 2 is not UTF-8 text"),
        (b'"1","a","b"\n"2","a","cut off he', "line 2: unexpected end of data"),
        (b'"1","a","b"\n"2","a "quote" in it","b"\n', "line 2: ',' expected after '\"'"),
        (b"<html>Not found</html>\n", "line 1: 3 columns wanted, 1 found"),
    ],
)
def test_corrupt_tables(folder, content, message):
    (folder / "train.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_documents("ag_news", folder, **PARTIAL)
    assert "train.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz", ".tar"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
def test_truncated_archives(tmp_path, ending, kept):
    archive = pack(write_tables(tmp_path / "dbpedia_csv", classes=14), tmp_path / f"dbpedia_csv{ending}")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"dbpedia_csv\.tar.*again"):
        load_documents("dbpedia", archive, **PARTIAL)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_gz(folder, damage):
    content = bytearray(gzip.compress((folder / "train.csv").read_bytes(), mtime=0))
    if damage == "cut":
        del content[-100:]
    else:
        content[len(content) // 2 :][:20] = bytes(20)
        content[-8:-4] = bytes(4)  # its own checksum
    (folder / "train.csv").unlink()
    (folder / "train.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.csv\.gz is damaged"):
        load_documents("ag_news", folder, **PARTIAL)


def test_what_is_not_there(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=r"Yahoo Answers: .*torchmann download yahoo_answers"):
        load_documents("yahoo_answers")
    (folder / "test.csv").unlink()
    with pytest.raises(DataError, match=r"holds no test\.csv of AG News\. Get it with: torchmann download ag_news"):
        load_documents("ag_news", folder, **PARTIAL)
    with pytest.raises(DataError, match=r"is one file of AG News: give the folder"):
        load_documents("ag_news", folder / "train.csv", **PARTIAL)
    with pytest.raises(DataError, match=r"dbpedia_csv\.tar\.gz holds no test\.csv\. Get it again"):
        load_documents("dbpedia", pack(folder, tmp_path / "dbpedia_csv.tar.gz"), **PARTIAL)
    with pytest.raises(DataError, match=r"holds no train\.csv of Yelp Full"):
        load_documents("yelp_review_full", tmp_path)  # a data folder without the set: no other set's files are taken


def test_parsed_once_and_again_only_for_other_files_or_parameters(folder, monkeypatch):
    first = load_documents("ag_news", folder, **PARTIAL)
    parses = []
    encode = documents.encode
    monkeypatch.setattr(documents, "encode", lambda *arguments: parses.append(1) or encode(*arguments))
    assert same(load_documents("ag_news", folder, **PARTIAL), first) and not parses
    assert len(load_documents("ag_news", folder, True, 50).vocabulary) < len(first.vocabulary) and len(parses) == 1
    (folder / "train.csv").write_text(table(rows(61, 4, 2)))
    assert load_documents("ag_news", folder, **PARTIAL).train == 61 and len(parses) == 2


def test_two_processes_share_one_cache(folder, tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as processes:
        sums = processes.map(sum_of_tokens, [folder] * 2, chunksize=1)
    assert sums == [sum_of_tokens(folder)] * 2
    assert len(list((tmp_path / "cache").glob("ag_news-*.safetensors"))) == 1


def sum_of_tokens(folder):
    return load_documents("ag_news", folder, **PARTIAL).documents.tokens.sum().item()


@pytest.mark.skipif("TORCHMANN_DATA" not in os.environ, reason="needs the real data set")
def test_the_published_files():
    try:
        corpus = load_documents("ag_news", allow_partial=True)
    except DataError as error:
        pytest.skip(str(error))
    assert corpus.counts["test"] == 7_600
    assert corpus.documents.labels[corpus.train :].bincount().tolist() == [1_900] * 4
    if corpus.train < 120_000:
        assert corpus.documents.labels[: corpus.train].bincount().tolist() == [2_967, 3_044, 3_027, 2_962]
    else:
        assert abs(len(corpus.vocabulary) - 42_783) <= 2  # as region embedding counts it, with or without `SPECIAL`
    found = documents.locate("ag_news")
    file = documents._file(found, "ag_news", "test")
    assert documents._checksum(file, "ag_news", "test") == documents._published("ag_news", "test")
