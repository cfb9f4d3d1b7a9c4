from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from torchmann.data import cache
from torchmann.data.cache import VARIABLE, cache_folder, cached


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_text("words")
    return path


class Parser:
    """Counts how often it is asked."""

    def __init__(self, path):
        self.path, self.calls = path, 0

    def __call__(self):
        self.calls += 1
        letters = list(self.path.read_bytes())
        return {"letters": torch.tensor(letters)}, {"words": [self.path.read_text()]}


def same(left, right):
    return left[1] == right[1] and torch.equal(left[0]["letters"], right[0]["letters"])


def test_parses_once(source):
    parser = Parser(source)
    first, second = cached("set", [source], parser), cached("set", [source], parser)
    assert parser.calls == 1 and same(first, second)


def test_a_changed_file_or_parameter_is_parsed_anew(source):
    parser = Parser(source)
    cached("set", [source], parser, version=1)
    cached("set", [source], parser, version=2)
    source.write_text("other")
    os.utime(source, ns=(0, 0))
    assert cached("set", [source], parser, version=2)[1] == {"words": ["other"]}
    assert parser.calls == 3


def test_a_folder_depends_on_its_files(source):
    parser = Parser(source)
    cached("set", [source.parent / "source"], parser)
    (source.parent / "more").mkdir()
    for name in ("a", "b"):
        (source.parent / "more" / name).touch()
        cached("set", [source.parent / "more"], parser)
    assert parser.calls == 3


@pytest.mark.parametrize("damage", [b"", b"other", None])
def test_a_damaged_cache_is_parsed_anew(source, folder, damage):
    parser = Parser(source)
    first = cached("set", [source], parser)
    (file,) = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    assert same(cached("set", [source], parser), first) and parser.calls == 2
    assert same(cached("set", [source], parser), first) and parser.calls == 2


def test_a_cache_that_cannot_be_written_is_said_and_done_without(source, folder):
    folder.touch()
    with pytest.warns(UserWarning, match=rf"set is parsed anew each time: .*Set {VARIABLE} to another folder"):
        assert cached("set", [source], Parser(source))[1] == {"words": ["words"]}


def test_a_full_disk_leaves_nothing_half_written(source, folder, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(f"cannot write {path}: No space left on device.")

    monkeypatch.setattr(cache, "write_atomically", full)
    with pytest.warns(UserWarning, match="No space left"):
        cached("set", [source], Parser(source))
    assert not list(folder.glob("*.safetensors"))


def test_a_failing_parser_leaves_nothing_and_can_be_tried_again(source, folder):
    def fail():
        raise ValueError("bad line")

    with pytest.raises(ValueError, match="bad line"):
        cached("set", [source], fail)
    assert not list(folder.glob("*.safetensors"))
    assert cached("set", [source], Parser(source))[1] == {"words": ["words"]}


def parse_in_a_process(source: Path) -> tuple[int, int]:
    parser = Parser(source)
    tensors, _ = cached("set", [source], parser)
    return parser.calls, int(tensors["letters"].sum())


def test_processes_at_once_parse_once(source):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(parse_in_a_process, [source] * 3))
    assert sum(calls for calls, _ in results) == 1
    assert {total for _, total in results} == {sum(b"words")}


def test_the_folder_of_this_user(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "torchmann/parsed"
