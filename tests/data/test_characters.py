"""Character texts: what is in the files, what is refused, and that a text is parsed once."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from torchmann.core.errors import DataError, OptionError
from torchmann.data import characters
from torchmann.data.characters import CharacterText, load_ptb, load_wikipedia

WORDS = {
    "train": " a cat <unk> N \n b-c\n",
    "valid": " it 's\n",
    "test": " a\n",
}


def spaced(text: str) -> str:
    """The form of Mikolov's files of characters: lines without the spaces at their ends."""
    lines = [line.strip().replace(" ", "_") for line in text.splitlines()]
    return "".join(" ".join(line) + " \n " for line in lines)


def write_ptb(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, text in WORDS.items():
        (folder / f"ptb.{split}.txt").write_text(text)
        (folder / f"ptb.char.{split}.txt").write_text(spaced(text))
    return folder


def read(text: CharacterText, split: str) -> str:
    shown = "".join(text.vocabulary[place] for place in text.splits[split].tolist())
    return shown.replace("␣", " ").replace("⏎", "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_ptb(tmp_path / "ptb")


@pytest.mark.parametrize("convention", ["words", "characters"])
def test_both_conventions(folder: Path, convention: characters.Convention) -> None:
    text = load_ptb(convention, folder, allow_partial=True)
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        wanted = WORDS[name]
        if convention == "characters":
            wanted = "".join(line.strip() + "\n" for line in wanted.splitlines())
        assert read(text, split) == wanted
        assert text.splits[split].dtype == torch.uint8
    assert text.vocabulary[:2] == ("⏎", "␣") and set("acatN<>") <= set(text.vocabulary)
    assert len(text.vocabulary) == len({*"".join(WORDS.values())})


@pytest.mark.parametrize("name", ["simple-examples.tgz", "simple-examples-data.tar.gz", "given.zip"])
def test_the_archive_is_found_in_its_folder_or_given(folder: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / "data" / "ptb"
    place.mkdir(parents=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(place / name, "w") as packed:
            for file in folder.iterdir():
                packed.write(file, f"simple-examples/data/{file.name}")
    else:
        with tarfile.open(place / name, "w:gz") as archive:
            archive.add(folder, arcname="./simple-examples/data")
    unpacked = load_ptb("words", folder, allow_partial=True)
    for path in (tmp_path / "data", place, place / name):
        found = load_ptb("words", path, allow_partial=True)
        assert found.vocabulary == unpacked.vocabulary
        assert all(torch.equal(found.splits[split], unpacked.splits[split]) for split in unpacked.splits)


def test_a_partial_text_is_refused_unless_allowed_whatever_the_cache_holds(folder: Path) -> None:
    for _ in range(2):
        load_ptb("words", folder, allow_partial=True)
        with pytest.raises(DataError, match=r"ptb\.train\.txt is partial: 21 of 5,101,618 char.*--allow-partial"):
            load_ptb("words", folder)


def test_a_whole_text_must_be_the_published_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def published(content: str) -> characters._Published:
        return characters._Published(len(content), hashlib.sha256(content.encode()).hexdigest())

    names = {"train": "train", "validation": "valid", "test": "test"}
    known = {split: published(WORDS[name]) for split, name in names.items()}
    monkeypatch.setitem(characters.PENN_TREEBANK, "words", known)
    assert read(load_ptb("words", folder), "train") == WORDS["train"]
    (folder / "ptb.valid.txt").write_text(WORDS["valid"].replace("i", "j"))
    for allowed in (False, True):
        with pytest.raises(DataError, match=r"ptb\.valid\.txt is damaged or another file"):
            load_ptb("words", folder, allow_partial=allowed)
    (folder / "ptb.valid.txt").write_text(WORDS["valid"] * 2)
    with pytest.raises(DataError, match=r"ptb\.valid\.txt has 14 characters, the published file 7: it is another one"):
        load_ptb("words", folder, allow_partial=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        ("naïve\n".encode("latin-1"), "holds the byte 0xef"),
        ("naïve\n".encode(), "holds the byte 0xaf"),
        ("a cat\n".encode("utf-16"), "holds the byte 0x00"),
        (b"a cat\r\n", "holds the byte 0x0d"),
    ],
)
@pytest.mark.parametrize("convention", ["words", "characters"])
def test_a_damaged_text(folder: Path, convention: characters.Convention, content: bytes, message: str) -> None:
    name = "ptb.test.txt" if convention == "words" else "ptb.char.test.txt"
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} {message}.*Get it again"):
        load_ptb(convention, folder, allow_partial=True)


def test_words_are_no_file_of_characters(folder: Path) -> None:
    (folder / "ptb.char.train.txt").write_text(WORDS["train"])
    with pytest.raises(DataError, match=r"ptb\.char\.train\.txt is not a text of symbols with spaces between them"):
        load_ptb("characters", folder, allow_partial=True)


def test_a_missing_file_and_an_unknown_convention(folder: Path, tmp_path: Path) -> None:
    (folder / "ptb.valid.txt").unlink()
    with pytest.raises(DataError, match=r"holds no file ptb\.valid\.txt.*torchmann download ptb"):
        load_ptb("words", folder, allow_partial=True)
    with pytest.raises(OptionError, match="unknown convention 'word': did you mean 'words'"):
        load_ptb("word", folder)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not exist"):
        load_ptb("words", tmp_path / "none")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_archive(folder: Path, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "simple-examples.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname="data")
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"simple-examples\.tgz .*again"):
        load_ptb("words", path, allow_partial=True)


TEXT = bytes(range(60, 256)) + b"<page>\n" * 4


def as_zip(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path := path / f"{name}.zip", "w") as archive:
        archive.writestr(name, content)
    return path


def as_file(ending: str, pack: Callable[[bytes], bytes] = bytes) -> Callable[[Path, str, bytes], Path]:
    def write(folder: Path, name: str, content: bytes) -> Path:
        (path := folder / f"{name}{ending}").write_bytes(pack(content))
        return path

    return write


PACKINGS = [as_zip, as_file(""), as_file(".gz", gzip.compress), as_file(".xz", lzma.compress), as_file(".head.txt")]


@pytest.mark.parametrize("write", PACKINGS)
def test_wikipedia_in_any_packing(tmp_path: Path, write: Callable[[Path, str, bytes], Path]) -> None:
    (tmp_path / "enwik8").mkdir()
    file = write(tmp_path / "enwik8", "enwik8", TEXT)
    for path in (tmp_path, tmp_path / "enwik8", file):
        text = load_wikipedia("enwik8", path, allow_partial=True)
        count = len(TEXT)
        assert [len(text.splits[split]) for split in text.splits] == [
            count * 90 // 100,
            count * 95 // 100 - count * 90 // 100,
            count - count * 95 // 100,
        ]
        symbols = sorted(set(TEXT))
        places = torch.cat(list(text.splits.values())).tolist()
        assert bytes(symbols[place] for place in places) == TEXT
        assert len(text.vocabulary) == len(symbols) and text.vocabulary[-1] == "\\xff"
    with pytest.raises(DataError, match=r"is partial: 224 of 100,000,000 characters"):
        load_wikipedia("enwik8", tmp_path)


def test_the_whole_file_goes_before_a_part_of_it(tmp_path: Path) -> None:
    as_file(".gz", gzip.compress)(tmp_path, "enwik8", b"the whole of it")
    as_file(".head10.gz", gzip.compress)(tmp_path, "enwik8", b"the head of it")
    as_file(".zip.part")(tmp_path, "enwik8", b"coming")
    assert read(load_wikipedia("enwik8", tmp_path, allow_partial=True), "train") == "the whole of "


def test_text8_has_letters_and_spaces_only(tmp_path: Path) -> None:
    as_file("")(tmp_path, "text8", b" anarchism originated" * 10)
    text = load_wikipedia("text8", tmp_path, allow_partial=True)
    assert text.vocabulary[0] == "␣" and read(text, "train").startswith(" anarchism originated anar")
    as_file("")(tmp_path, "text8", b" anarchism <UNK>" * 10)
    with pytest.raises(DataError, match=r"text8 holds the byte 0x3c, which the published text does not"):
        load_wikipedia("text8", tmp_path, allow_partial=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("enwik8.zip", b"", "is damaged"),
        ("enwik8.zip", b"PK\x03\x04 and no more", "is damaged"),
        ("enwik8.gz", gzip.compress(TEXT, mtime=0)[:40], "is damaged"),
        ("enwik8.gz", TEXT, "is damaged"),
        ("enwik8", b"", "is empty"),
        ("other", b"text", r"holds no file enwik8, enwik8\.zip or enwik8\.gz.*torchmann download enwik8"),
    ],
)
def test_a_damaged_wikipedia(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_wikipedia("enwik8", tmp_path, allow_partial=True)


def test_another_archive(tmp_path: Path) -> None:
    as_zip(tmp_path, "enwik9", TEXT).rename(tmp_path / "enwik8.zip")
    with pytest.raises(DataError, match=r"enwik8\.zip holds no file enwik8"):
        load_wikipedia("enwik8", tmp_path, allow_partial=True)


def test_a_text_is_parsed_once_and_anew_when_it_has_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_ptb("words", folder, allow_partial=True)
    monkeypatch.setattr(characters, "members", None)
    again = load_ptb("words", folder, allow_partial=True)
    assert again.vocabulary == first.vocabulary and torch.equal(again.splits["train"], first.splits["train"])
    monkeypatch.undo()
    (folder / "ptb.train.txt").write_text("quite another text\n")
    assert read(load_ptb("words", folder, allow_partial=True), "train") == "quite another text\n"


def load_in_a_process(folder: Path) -> str:
    return read(load_ptb("words", folder, allow_partial=True), "train")


def test_processes_at_once_read_the_same(folder: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert set(pool.map(load_in_a_process, [folder] * 2)) == {WORDS["train"]}


# The published data, where a data folder is at hand.


def needs(name: str) -> pytest.MarkDecorator:
    there = (Path(os.environ.get("TORCHMANN_DATA", "nowhere")) / name).exists()
    return pytest.mark.skipif(not there, reason=f"TORCHMANN_DATA names no folder with {name}/")


@needs("ptb")
def test_published_penn_treebank() -> None:
    words, symbols = load_ptb("words"), load_ptb("characters")
    assert [len(part) for part in words.splits.values()] == [5_101_618, 399_782, 449_945]
    assert [len(part) for part in symbols.splits.values()] == [5_017_482, 393_042, 442_423]
    assert len(words.vocabulary) == len(symbols.vocabulary) == 50
    assert len(words.splits["test"].unique()) == 48
    lines = [line.strip() for line in read(words, "validation").splitlines()]
    assert read(symbols, "validation").splitlines() == lines and len(lines) == 3370


@needs("enwik8")
def test_published_enwik8() -> None:
    text = load_wikipedia("enwik8", allow_partial=True)
    assert read(text, "train").startswith("<mediawiki")
    if sum(map(len, text.splits.values())) == 100_000_000:
        assert len(text.vocabulary) == 205
