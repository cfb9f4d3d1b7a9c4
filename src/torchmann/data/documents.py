"""The text classification sets of Zhang et al. 2015: tables of classes and texts, read line by line.

Source: X. Zhang, J. Zhao, Y. LeCun. Character-level convolutional networks for text classification. NeurIPS 2015.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from torchmann.core.errors import DataError
from torchmann.data.cache import Parsed, cached
from torchmann.data.locate import locate
from torchmann.data.reading import damaged, decoded, require_complete
from torchmann.data.sources import data_set
from torchmann.data.tokens import PARSER, Corpus, Labelled, encode

TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz")
SPLITS = ("train", "test")
_UNREADABLE = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)


class Table(NamedTuple):
    """What the files ``train.csv`` and ``test.csv`` of a set look like.

    Attributes:
        classes: their names; the files number them from 1.
        texts: columns of text after the one of the class.
        rows: in the published files, by split.
        line_break: what stands for one inside a text. The sets' notes say a backslash and an n; in AG News it is the
            backslash alone, and a word that begins with n may follow it.
    """

    classes: tuple[str, ...]
    texts: int
    rows: dict[str, int]
    line_break: str = r"\n"


TABLES: dict[str, Table] = {
    "ag_news": Table(("World", "Sports", "Business", "Sci/Tech"), 2, {"train": 120_000, "test": 7_600}, "\\"),
    "yelp_review_polarity": Table(("negative", "positive"), 1, {"train": 560_000, "test": 38_000}),
    "yelp_review_full": Table(
        ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), 1, {"train": 650_000, "test": 50_000}
    ),
    "dbpedia": Table(
        (
            *("Company", "Educational Institution", "Artist", "Athlete", "Office Holder", "Means of Transportation"),
            *("Building", "Natural Place", "Village", "Animal", "Plant", "Album", "Film", "Written Work"),
        ),
        2,
        {"train": 560_000, "test": 70_000},
    ),
    "yahoo_answers": Table(
        (
            *("Society & Culture", "Science & Mathematics", "Health", "Education & Reference"),
            *("Computers & Internet", "Sports", "Business & Finance", "Entertainment & Music"),
            *("Family & Relationships", "Politics & Government"),
        ),
        3,
        {"train": 1_400_000, "test": 60_000},
    ),
}
"""By the name of the data set in `torchmann.data.sources`."""


def load_documents(
    name: str, path: str | Path | None = None, allow_partial: bool = False, min_documents: int = 2
) -> Corpus:
    """The documents of one of `TABLES`: parsed once, then from the cache.

    Args:
        name: of the data set.
        path: a folder with ``train.csv`` and ``test.csv`` or ``train.csv.gz`` and ``test.csv.gz``, an archive with
            them, or a data folder; by default the one named by TORCHMANN_DATA.
        allow_partial: take files with fewer rows than the published ones, and a ``train_subset_*.csv`` where the whole
            is not there.
        min_documents: training documents that a word of the vocabulary must be in.

    Raises:
        DataError: a file is missing, damaged, another one, or partial and not allowed to be; the message names the
            file and, as far as there is one, the line.
    """
    found = locate(name, path)
    files = {split: _file(found, name, split) for split in SPLITS}

    def parse() -> Parsed:
        train, test = (_documents(files[split], split, TABLES[name]) for split in SPLITS)
        tensors, values = encode(train, test, min_documents).parsed()
        return tensors, values | {"checksums": {split: _checksum(files[split], name, split) for split in SPLITS}}

    parsed = cached(name, files.values(), parse, parser=PARSER, min_documents=min_documents)
    corpus = Corpus.of_parsed(parsed)
    for split, count in corpus.counts.items():
        require_complete(files[split], count, TABLES[name].rows[split], "documents", allow_partial)
        if parsed[1]["checksums"][split] != _published(name, split) and not allow_partial:
            raise DataError(
                f"{files[split]} is not the published {split}.csv: its checksum is another. Get it again, or accept "
                "it with --allow-partial (in Python allow_partial=True)."
            )
    return corpus


def _pattern(split: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|/){split}(?P<partial>_subset_\d+)?\.csv(\.gz)?$")


def _file(found: Path, name: str, split: str) -> Path:
    """The file that holds a split: a table, or an archive with one; a part of a table only where there is neither."""
    title = data_set(name).title
    if found.is_file() and not found.name.endswith(TAR):
        raise DataError(f"{found} is one file of {title}: give the folder with train.csv and test.csv, or the archive.")
    if found.is_file():
        return found
    beside = sorted([*found.glob("*"), *found.glob(f"{name}_csv/*")])
    tables = {file: match for file in beside if (match := _pattern(split).search(file.as_posix()))}
    archives = [file for file in beside if file.name.startswith(f"{name}_csv") and file.name.endswith(TAR)]
    for file in (*(file for file, match in tables.items() if not match["partial"]), *archives, *tables):
        return file
    raise DataError(f"{found} holds no {split}.csv of {title}. Get it with: torchmann download {name}.")


@contextmanager
def _opened(file: Path, split: str) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The place and the lines of a table, from the file itself or from the archive that it is."""
    try:
        if file.name.endswith(TAR):
            with tarfile.open(file, "r:*") as archive:
                for member in archive:
                    reader = archive.extractfile(member) if _pattern(split).search(member.name) else None
                    if reader:
                        yield f"{file}:{member.name}", reader
                        return
            raise DataError(f"{file} holds no {split}.csv. Get it again.")
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            yield str(file), lines
    except _UNREADABLE as error:
        raise damaged(file, error) from error


def _documents(file: Path, split: str, table: Table) -> Iterator[Labelled]:
    """The documents of a split, one after the other."""
    labels = {str(number): number - 1 for number in range(1, len(table.classes) + 1)}
    with _opened(file, split) as (place, lines):
        reader = csv.reader(_decoded(place, lines), strict=True)  # a quotation mark inside a text is two of them
        try:
            for row in reader:
                if len(row) != 1 + table.texts:
                    raise _bad(place, reader.line_num, f"{1 + table.texts} columns wanted, {len(row)} found")
                if row[0] not in labels:
                    raise _bad(place, reader.line_num, f"a class from 1 to {len(labels)} wanted, {row[0][:20]!r} found")
                yield Labelled(labels[row[0]], " ".join(row[1:]).replace(table.line_break, " "))
        except csv.Error as error:
            raise _bad(place, reader.line_num, str(error)) from error
        if not reader.line_num:
            raise DataError(f"{place} is empty. Get it again.")


def _decoded(place: str, lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        yield decoded(line, f"{place}, line {number}")


def _bad(place: str, line: int, reason: str) -> DataError:
    return DataError(f"{place}, line {line}: {reason}. Get it again.")


def _published(name: str, split: str) -> str | None:
    """The published checksum of a table, where it is to be had by itself."""
    remotes = [remote for way in data_set(name).ways for remote in way if remote.name.endswith(f"/{split}.csv")]
    return remotes[0].addresses[0].checksum if remotes else None


def _checksum(file: Path, name: str, split: str) -> str | None:
    """The checksum of the table that is here, in the kind of the published one; None where none is published."""
    kind = (_published(name, split) or "").partition(":")[0]
    if not kind:
        return None
    digest = hashlib.new(kind, usedforsecurity=False)
    with _opened(file, split) as (_, lines):
        for line in lines:
            digest.update(line)
    return f"{kind}:{digest.hexdigest()}"
