"""Word vectors in GloVe's form: one line for each word, the word and its D numbers, parted by spaces.

Source: J. Pennington, R. Socher, C. D. Manning. GloVe: global vectors for word representation. EMNLP 2014.

Legend: V words of a vocabulary, D numbers of a vector.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.data.cache import Parsed, cached
from torchmann.data.locate import locate
from torchmann.data.reading import damaged

NAME = "glove"
"""Stands for the data set of that name where a path is asked for."""

PARSER = 1
SEED = 0
SCALE = 0.1  # standard deviation of the numbers of a word that has no vector


def load_vectors(path: str | Path, vocabulary: Sequence[str]) -> Tensor:
    """Vectors ``[V, D]`` for the words of a vocabulary: read once, then from the cache.

    The first word of the vocabulary is padding and gets zeros. Words without a vector get normal numbers of standard
    deviation `SCALE`, always the same ones. If a word comes twice, its first vector counts.

    Args:
        path: a text file, a zip archive with one, a folder with one of either, or `NAME`.
        vocabulary: V words, padding first.

    Raises:
        DataError: there is no such file, or it is damaged; the message names the line.
    """
    file = _file(locate(NAME) if path == NAME else Path(path).expanduser())
    words = hashlib.blake2b("\n".join(vocabulary).encode(), digest_size=12).hexdigest()

    def parse() -> Parsed:
        return {"vectors": _read(file, vocabulary)}, {}

    return cached(NAME, [file], parse, parser=PARSER, words=words)[0]["vectors"]


def _file(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"the word vectors {path} do not exist: give a .txt or .zip file of vectors, or {NAME!r}.")
    if path.is_file():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in (".txt", ".zip"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise DataError(f"{path} must hold one .txt or .zip file of word vectors, found {names}: give the file's path.")
    return files[0]


@contextmanager
def _opened(file: Path) -> Iterator[Iterable[bytes]]:
    """The lines of a text file, or of the only one in a zip archive."""
    try:
        if file.suffix != ".zip":
            with file.open("rb") as lines:
                yield lines
            return
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".txt")]
            if len(names) != 1:
                listed = ", ".join(names) or "none"
                raise DataError(f"{file} must hold one .txt file, found {listed}: unpack it and give the file's path.")
            with archive.open(names[0]) as lines:
                yield lines
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise damaged(file, error) from error


def _read(file: Path, vocabulary: Sequence[str]) -> Tensor:
    """The vectors of the words that the file has, and the stand-ins of the others."""
    missing = {word.encode(): number for number, word in enumerate(vocabulary) if number}
    wanted = len(missing)
    vectors_VD = torch.zeros(0, 0)
    with _opened(file) as lines:
        for place, line in enumerate(lines, start=1):
            found = line.rstrip().count(b" ")
            if place == 1:
                vectors_VD = _stand_ins(len(vocabulary), found)
            size = vectors_VD.shape[1]
            if not size or found < size:
                message = f"{found} numbers after the word, {size or 'some'} wanted"
                raise DataError(f"{file}, line {place}: {message}. Get it again.")
            # a word of the file may have spaces, one of a vocabulary has none
            number = missing.pop(line[: line.index(b" ")], None) if found == size else None
            if number is not None:
                vectors_VD[number] = _numbers(line, file, place)
    if len(missing) == wanted:
        raise DataError(f"{file} has a vector for none of the {wanted} words: it is empty, or holds something else.")
    return vectors_VD


def _stand_ins(count: int, size: int) -> Tensor:
    vectors_VD = torch.randn(count, size, generator=torch.Generator().manual_seed(SEED)) * SCALE
    vectors_VD[0] = 0
    return vectors_VD


def _numbers(line: bytes, file: Path, place: int) -> Tensor:
    try:
        numbers = torch.tensor([float(number) for number in line.split()[1:]])
    except ValueError as error:
        raise DataError(f"{file}, line {place}: {error}. Get it again.") from error
    if not numbers.isfinite().all():
        raise DataError(f"{file}, line {place}: a number is not finite. Get it again.")
    return numbers
