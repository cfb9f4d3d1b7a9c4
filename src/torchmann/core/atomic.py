"""Files that are never half written: whatever stops a process, a file is the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".unfinished"


def write_atomically(path: Path, content: bytes) -> None:
    """Write or replace a file in one move, which is on the disk when this returns.

    The content is complete and on the disk under another name before it takes the place of what was there. A process
    that is killed in between leaves the old file, and beside it a ``.*.unfinished`` that `clear_unfinished` removes.

    Raises:
        OSError: the disk is full, say; what was there before is still there.
    """
    with writing(path):
        try:
            with unfinished(path).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished(path).replace(path)
        except OSError:
            with suppress(OSError):
                unfinished(path).unlink()
            raise
        _sync_directory(path.parent)


def unfinished(path: Path) -> Path:
    """Where the content of `path` is until it is complete."""
    return path.with_name(f".{path.name}{UNFINISHED}")


def clear_unfinished(directory: Path) -> None:
    """Remove what killed processes have left in `directory`."""
    for leftover in directory.glob(f".*{UNFINISHED}"):
        leftover.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within this context an `OSError` is told in one sentence that names `path`."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}.") from error


def _sync_directory(directory: Path) -> None:
    """Put the names in `directory` on the disk; other systems than POSIX do that by themselves."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
