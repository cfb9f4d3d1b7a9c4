"""A cache of parsed files: a data set is parsed once, and read as tensors after that."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pooch
from filelock import FileLock
from torch import Tensor

from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError
from torchmann.core.packing import pack, unpack

VARIABLE = "TORCHMANN_CACHE"

Parsed = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by name, and whatever JSON can say by key."""


def cache_folder() -> Path:
    """The folder that TORCHMANN_CACHE names, else one of this user."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path(pooch.os_cache("torchmann")) / "parsed"


def cached(name: str, sources: Iterable[Path], parse: Callable[[], Parsed], **parameters: Any) -> Parsed:
    """What `parse` gives for the files `sources`: from the cache, unless a file or a parameter has changed.

    Of several processes that want it at once one parses and the others wait. Where the cache cannot be written, a
    warning says so, and the result is used all the same.

    Args:
        name: begins the name of the file.
        sources: all files and folders that the result depends on.
        parse: reads them.
        parameters: whatever else the result depends on, the version of the parser among them.
    """
    path = cache_folder() / f"{name}-{_key(sources, parameters)}.safetensors"
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        _warn(name, error)
        return parse()
    try:
        return _stored(path) or _parsed_and_stored(name, path, parse)
    finally:
        lock.release()


def _stored(path: Path) -> Parsed | None:
    """What an earlier call has stored; None where there is nothing whole."""
    try:
        return unpack(path) if path.exists() else None
    except DataError:
        return None


def _parsed_and_stored(name: str, path: Path, parse: Callable[[], Parsed]) -> Parsed:
    tensors, values = parse()
    try:
        write_atomically(path, pack(tensors, values))
    except OSError as error:
        _warn(name, error)
    return tensors, values


def _warn(name: str, error: OSError) -> None:
    warnings.warn(f"{name} is parsed anew each time: {error} Set {VARIABLE} to another folder.", stacklevel=4)


def _key(sources: Iterable[Path], parameters: dict[str, Any]) -> str:
    """Changes with the names, sizes and times of the files, and with the parameters."""
    marks = [repr(sorted(parameters.items()))]
    for source in sources:
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            status = file.stat()
            marks.append(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.blake2b("\n".join(marks).encode(), digest_size=12).hexdigest()
