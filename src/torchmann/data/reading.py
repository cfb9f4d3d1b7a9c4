"""Read files of a data set, packed or not; whatever is wrong with one is said in one sentence."""

from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from torchmann.core.errors import DataError

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".zip")
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked where it ends in ``.gz`` or ``.xz``.

    Raises:
        DataError: the file is damaged, empty or cannot be read.
    """
    try:
        data = path.read_bytes()
        unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix)
        data = unpack(data) if unpack and data else data
    except _DAMAGED as error:
        raise damaged(path, error) from error
    if not data:
        raise DataError(f"{path} is empty. Get it again.")
    return data


def decoded(data: bytes, place: str | Path) -> str:
    """The UTF-8 text of some bytes.

    Raises:
        DataError: they are no such text; the message names `place`.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not UTF-8 text ({error}). Get it again.") from error


def members(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str], bytes]]:
    """The files of an archive or of a folder whose names (with ``/``) `wanted` finds: place, match, content.

    Raises:
        DataError: something is damaged or cannot be read.
    """
    try:
        if path.is_dir():
            yield from _in_folder(path, wanted)
        elif path.suffix == ".zip":
            yield from _in_zip(path, wanted)
        else:
            yield from _in_tar(path, wanted)
    except _DAMAGED as error:
        raise damaged(path, error) from error


def _in_folder(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str], bytes]]:
    for file in sorted(path.rglob("*")):
        match = wanted.search(file.as_posix())
        if match:
            yield str(file), match, file.read_bytes()


def _in_zip(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str], bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            match = wanted.search(name)
            if match:
                yield f"{path}:{name}", match, archive.read(name)


def _in_tar(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str], bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            match = wanted.search(member.name)
            reader = archive.extractfile(member) if match else None
            if match and reader:
                yield f"{path}:{member.name}", match, reader.read()


def damaged(path: Path, error: Exception) -> DataError:
    """The error for a file that cannot be unpacked or read."""
    if isinstance(error, PermissionError):
        return DataError(f"{path} cannot be read: {error.strerror}.")
    reason = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
    return DataError(f"{path} is damaged, or is not what its name says ({reason}). Get it again.")


def require_complete(place: str | Path, found: int, published: int, unit: str, allow_partial: bool) -> None:
    """Raise `DataError` where a file has less than the published one, unless that is allowed.

    Args:
        place: the file.
        found: what it has.
        published: what the published one has.
        unit: of what, in the plural.
        allow_partial: fewer will do; more never will.
    """
    if found < published and not allow_partial:
        raise DataError(
            f"{place} is partial: {found:,} of {published:,} {unit}. Use the published file, or accept it with "
            "--allow-partial (in Python allow_partial=True)."
        )
    if found > published:
        raise DataError(f"{place} has {found:,} {unit}, the published file {published:,}: it is another one.")
