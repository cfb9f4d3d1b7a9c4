"""Find a data set on this machine: under an explicit path, under TORCHMANN_DATA, or among what was downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import pooch

from torchmann.core.errors import DataError
from torchmann.data.sources import DataSet, data_set

VARIABLE = "TORCHMANN_DATA"


def downloads() -> Path:
    """The folder that downloads go to: the one that TORCHMANN_DATA names, else one of this user."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path(pooch.os_cache("torchmann")) / "data"


def locate(name: str, path: str | Path | None = None) -> Path:
    """The file or folder that holds a data set.

    Args:
        name: of the data set, as in `torchmann.data.sources`.
        path: the file or folder itself, or a data folder to search instead of the one that downloads go to.

    Raises:
        DataError: nothing is there; the message names the ways to put that right.
    """
    wanted = data_set(name)
    root = downloads() if path is None else Path(path).expanduser()
    if not root.exists() and (path is not None or os.environ.get(VARIABLE)):
        source = "the path" if path is not None else f"{VARIABLE} ="
        raise DataError(f"{wanted.title}: {source} {root} does not exist. {_fixes(name, wanted)}")
    for place in wanted.places:
        if (root / place).exists():
            return root / place
    if path is None:
        raise DataError(f"{wanted.title}: not found in {root}. {_fixes(name, wanted)}")
    return root


def _fixes(name: str, wanted: DataSet) -> str:
    download = f"Get it with: torchmann download {name}. " if wanted.ways else ""
    return (
        f"{download}Or set {VARIABLE} to a folder that holds {' or '.join(wanted.places)}, "
        "or give its path (data=PATH, on the command line --task.data PATH)."
    )
