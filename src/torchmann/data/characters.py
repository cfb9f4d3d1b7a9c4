"""Character text: Penn Treebank, enwik8, text8, each as one stream of symbols a split.

What a complete file holds is checked. A shorter one is taken only where that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from torchmann.core.errors import DataError, unknown_name
from torchmann.data.cache import Parsed, cached
from torchmann.data.checksums import require_published
from torchmann.data.locate import locate
from torchmann.data.reading import ARCHIVES, content, members, require_complete

PARSER = 1
"""Version of what this file makes of a text; it grows with each change, so that nothing older is taken from a cache."""

Convention = Literal["words", "characters"]


class CharacterText(NamedTuple):
    """A text in three splits.

    Attributes:
        vocabulary: the symbols, in the order of their bytes; a space, an end of line and a byte beyond ASCII are
            written so that they can be seen.
        splits: by name, the symbols as their places in the vocabulary, ``[N]`` uint8.
    """

    vocabulary: tuple[str, ...]
    splits: dict[str, Tensor]


class _Published(NamedTuple):
    """What a published file holds."""

    characters: int
    sha256: str | None  # of the whole unpacked file; None: not known


PENN_TREEBANK: dict[Convention, dict[str, _Published]] = {
    "words": {
        "train": _Published(5_101_618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
        "validation": _Published(399_782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
        "test": _Published(449_945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
    },
    "characters": {
        "train": _Published(5_017_482, "e313d91425e06c4f0a8fb6e881dcce0c291f2a0e9f4dda54833069b122f91da9"),
        "validation": _Published(393_042, "21661f63ec355085879458b6524644d4add5573541b4be14fb52ab2e2e995eb8"),
        "test": _Published(442_423, "1ef5607ac3c463b16e38bfe7900dd3bfc91de5a96e0f21e7eab5188b465b8ebe"),
    },
}

WIKIPEDIA = {
    "enwik8": _Published(100_000_000, "2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8"),
    "text8": _Published(100_000_000, None),
}

_PENN_NAMES = {  # of the files of each split
    "words": {"train": "ptb.train.txt", "validation": "ptb.valid.txt", "test": "ptb.test.txt"},
    "characters": {"train": "ptb.char.train.txt", "validation": "ptb.char.valid.txt", "test": "ptb.char.test.txt"},
}
_SPLITS = ("train", "validation", "test")
_ASCII = bytes(range(0x20, 0x7F)) + b"\n"
_LETTERS = ascii_lowercase.encode() + b" "
_VISIBLE = {" ": "␣", "\n": "⏎"}


def load_ptb(
    convention: Convention = "words", path: str | Path | None = None, allow_partial: bool = False
) -> CharacterText:
    """Penn Treebank as characters.

    Args:
        convention: ``"words"``: the bytes of the word files, 5,101,618 / 399,782 / 449,945 of 50 symbols.
            ``"characters"``: Mikolov's files ``ptb.char.*.txt``, with one end of line for each sentence,
            5,017,482 / 393,042 / 442,423 of 50 symbols.
        path: the archive or a folder with the files; by default where `locate` finds them.
        allow_partial: take files with fewer characters than the published ones.

    Raises:
        OptionError: unknown `convention`.
        DataError: a file is missing, damaged, another one, or partial and not allowed to be.
    """
    if convention not in PENN_TREEBANK:
        raise unknown_name("convention", convention, PENN_TREEBANK)
    found = locate("ptb", path)

    def parse() -> Parsed:
        files = _files_named(found, _PENN_NAMES[convention].values())
        texts = {}
        for split, published in PENN_TREEBANK[convention].items():
            name = _PENN_NAMES[convention][split]
            if name not in files:
                raise DataError(f"{found} holds no file {name}. Get Penn Treebank with: torchmann download ptb.")
            place, data = files[name]
            _require_symbols(place, data, _ASCII)
            text = data if convention == "words" else _unspaced(place, data)
            _require_text(place, text, data, published, allow_partial)
            texts[split] = text
        return _encoded(texts)

    # what is allowed decides what may be taken from a cache, too
    return _text(cached(f"ptb-{convention}", [found], parse, parser=PARSER, allow_partial=allow_partial))


def load_wikipedia(
    name: Literal["enwik8", "text8"], path: str | Path | None = None, allow_partial: bool = False
) -> CharacterText:
    """The first 10^8 bytes of a Wikipedia, 90 % of them for training, 5 % for validation, 5 % for the test.

    Args:
        name: ``"enwik8"``: as published, 205 symbols. ``"text8"``: its words in letters and spaces, 27 symbols.
        path: the file, packed or not, or a folder with it; by default where `locate` finds it.
        allow_partial: take the beginning of the file; its parts have the same shares.

    Raises:
        DataError: the file is missing, damaged, another one, or partial and not allowed to be.
    """
    file = _one_file(locate(name, path), name)

    def parse() -> Parsed:
        data = _unpacked(file, name)
        if name == "text8":
            _require_symbols(file, data, _LETTERS)
        _require_text(file, data, data, WIKIPEDIA[name], allow_partial)
        ends = [len(data) * percent // 100 for percent in (90, 95)]
        return _encoded({"train": data[: ends[0]], "validation": data[slice(*ends)], "test": data[ends[1] :]})

    return _text(cached(name, [file], parse, parser=PARSER, allow_partial=allow_partial))


def _files_named(found: Path, names: Iterable[str]) -> dict[str, tuple[str, bytes]]:
    """Place and bytes of files by name, from a folder, an archive, or the first archive in a folder that has any."""
    wanted = re.compile(rf"(?:^|/)({'|'.join(map(re.escape, names))})$")
    archives = [file for file in sorted(found.iterdir()) if file.name.endswith(ARCHIVES)] if found.is_dir() else []
    for source in (found, *archives):
        files = {match[1]: (place, data) for place, match, data in members(source, wanted)}
        if files:
            return files
    return {}


def _one_file(found: Path, name: str) -> Path:
    """The file itself, or the one in the folder `found`: the whole one before a part of it."""
    if not found.is_dir():
        return found
    whole = [found / f"{name}{ending}" for ending in ("", ".zip", ".gz", ".xz")]
    for file in (*whole, *sorted(found.glob(f"{name}.*"))):
        if file.is_file() and not file.name.endswith((".part", ".lock")):
            return file
    raise DataError(f"{found} holds no file {name}, {name}.zip or {name}.gz. Get it with: torchmann download {name}.")


def _unpacked(file: Path, name: str) -> bytes:
    if file.suffix != ".zip":
        return content(file)
    for _, _, data in members(file, re.compile(rf"(?:^|/){name}$")):
        return data
    raise DataError(f"{file} holds no file {name}. Get it again.")


def _unspaced(place: str | Path, data: bytes) -> bytes:
    """The symbols of a ``ptb.char`` file: they stand between spaces, and a real space is written ``_``."""
    if re.search(rb"[^ \n]{2}", data):
        raise DataError(f"{place} is not a text of symbols with spaces between them. Get it again.")
    return data.replace(b" ", b"").replace(b"_", b" ")


def _require_symbols(place: str | Path, data: bytes, allowed: bytes) -> None:
    others = sorted(set(data.translate(None, allowed)))
    if others:
        raise DataError(f"{place} holds the byte 0x{others[0]:02x}, which the published text does not. Get it again.")


def _require_text(place: str | Path, text: bytes, data: bytes, published: _Published, allow_partial: bool) -> None:
    """Raise `DataError` unless a text, taken from the bytes `data`, is the published one or an allowed part of it."""
    if not text:
        raise DataError(f"{place} is empty. Get it again.")
    require_complete(place, len(text), published.characters, "characters", allow_partial)
    if published.sha256 and len(text) == published.characters:
        require_published(place, data, published.sha256)


def _encoded(texts: Mapping[str, bytes]) -> Parsed:
    symbols = sorted(set().union(*map(set, texts.values())))
    places = bytes(symbols.index(byte) if byte in symbols else 0 for byte in range(256))
    tensors = {
        split: torch.frombuffer(bytearray(text.translate(places)), dtype=torch.uint8) for split, text in texts.items()
    }
    return tensors, {"vocabulary": [_visible(byte) for byte in symbols]}


def _visible(byte: int) -> str:
    symbol = chr(byte)
    return _VISIBLE.get(symbol) or (symbol if symbol.isascii() and symbol.isprintable() else f"\\x{byte:02x}")


def _text(parsed: Parsed) -> CharacterText:
    splits, values = parsed
    return CharacterText(tuple(values["vocabulary"]), {split: splits[split] for split in _SPLITS})
