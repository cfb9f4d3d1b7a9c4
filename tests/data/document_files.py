"""Small document sets, written by the tests themselves."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

WORDS = ["the", "a", "of", "to", "market", "team", "match", "price", "shares", "film", "plot", "star", "code", "moon"]


def text(number: int, words: int | None = None) -> str:
    """A text that is always the same for the same number, of 3 to 40 words if not of `words`."""
    draws = random.Random(number)
    chosen = draws.choices(WORDS, k=draws.randint(3, 40) if words is None else words)
    return " ".join(chosen) + f" w{number % 7}."


def rows(count: int, classes: int, texts: int, first: int = 0) -> list[list[str]]:
    """Rows of a table; the classes come in turn."""
    return [
        [str(number % classes + 1), *(text(10 * number + part) for part in range(texts))]
        for number in range(first, first + count)
    ]


def table(rows: Iterable[Sequence[str]]) -> str:
    """A table in the form of the published ones: every field is quoted, and a quotation mark in it is two."""
    return "".join(",".join('"' + field.replace('"', '""') + '"' for field in row) + "\n" for row in rows)


def write_tables(folder: Path, *, train: int = 60, test: int = 20, classes: int = 4, texts: int = 2) -> Path:
    """Write ``train.csv`` and ``test.csv``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.csv").write_text(table(rows(train, classes, texts)))
    (folder / "test.csv").write_text(table(rows(test, classes, texts, first=1000)))
    return folder


def write_reviews(root: Path, count: int = 10) -> Path:
    """Write so many reviews of each class into train and test; returns the folder ``aclImdb``."""
    base = root / "aclImdb"
    for part, (split, name) in enumerate((split, name) for split in ("train", "test") for name in ("neg", "pos")):
        folder = base / split / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            opening = "bad" if name == "neg" else "good"
            (folder / f"{number}_{7 if name == 'pos' else 2}.txt").write_text(f"{opening} {text(100 * part + number)}")
    return base


def pack(base: Path, archive: Path) -> Path:
    """Pack a folder as the published archives are, or with xz where the name says so."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    how = {".xz": "w:xz", ".tar": "w"}.get(archive.suffix, "w:gz")
    with tarfile.open(archive, how) as packed:
        packed.add(base, arcname=base.name)
    return archive
