"""Find a data set on this machine: under an explicit path or under the folder that TORCHMANN_DATA names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torchmann.core.errors import DataError

VARIABLE = "TORCHMANN_DATA"


def locate(name: str, candidates: Sequence[str], path: str | Path | None = None) -> Path:
    """The file or folder that holds a data set.

    Args:
        name: what the data set is called in an error.
        candidates: where it may lie, relative to a data folder; the first that exists is taken.
        path: the file or folder itself, or a data folder to search in place of ``TORCHMANN_DATA``.

    Raises:
        DataError: nothing is there; the message names both ways to say where it is.
    """
    given = path if path is not None else os.environ.get(VARIABLE)
    if not given:
        raise DataError(f"{name}: no place to read it from is known. {_fixes(candidates)}")
    root = Path(given).expanduser()
    if not root.exists():
        source = "the path" if path is not None else f"{VARIABLE} ="
        raise DataError(f"{name}: {source} {root} does not exist. {_fixes(candidates)}")
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    if path is None:
        raise DataError(f"{name}: not found in {VARIABLE} = {root}. {_fixes(candidates)}")
    return root


def _fixes(candidates: Sequence[str]) -> str:
    return (
        f"Either set {VARIABLE} to a folder that holds {' or '.join(candidates)}, "
        "or give its path (data=PATH, on the command line --task.data PATH)."
    )
