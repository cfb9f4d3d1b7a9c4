"""Download a data set: from its publisher or a mirror, resumed where an attempt has stopped, checked before use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pooch
import requests
from filelock import FileLock

from torchmann.core.errors import DataError
from torchmann.data.locate import downloads
from torchmann.data.sources import Address, Remote, data_set

PART = ".part"
"""Ends the name of a file that has not come whole yet."""

PIECE = 1 << 16
PATIENCE = 30  # seconds without a byte

Progress = Callable[[str, int, int | None], None]
"""Told the name of a file, the bytes that are there, and how many it will have, if that is known."""


def download(name: str, folder: str | Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Get the files of a data set that are not there yet.

    Args:
        name: of the data set, as in `torchmann.data.sources`.
        folder: a data folder; by default the one in which `locate` looks.
        progress: called as bytes come in.

    Returns:
        The files.

    Raises:
        DataError: it cannot be had from anywhere; the message has the reason of each address.
        OSError: the disk is full. What has come is kept, and the next attempt goes on from there.
    """
    root = downloads() if folder is None else Path(folder).expanduser()
    wanted = data_set(name)
    reasons = []
    for way in wanted.ways:
        try:
            return [_fetch(remote, root, progress) for remote in way]
        except DataError as error:
            reasons.append(str(error))
    raise DataError(
        f"{wanted.title} cannot be downloaded: {' '.join(reasons) or 'it is published in no form to download.'} "
        f"Put it in {root / wanted.places[0]} yourself."
    )


def _fetch(remote: Remote, root: Path, progress: Progress | None) -> Path:
    """One file, from the first address that gives it; of several processes one fetches and the others wait."""
    target = root / remote.name
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{target}.lock")
        with lock:
            if target.exists():
                return target
            _require_space(remote, target)
            return _first_that_works(remote, target, progress)
    except requests.RequestException:
        raise
    except OSError as error:
        reason = f"cannot write {target}: {error.strerror or error}."
        raise OSError(f"{reason} Make room, or name another folder; what has come is kept.") from error


def _require_space(remote: Remote, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    missing = (remote.size or 0) - _bytes_there(_part(target))
    if missing > free:
        raise OSError(f"{missing:,} bytes are needed and {free:,} are free")


def _first_that_works(remote: Remote, target: Path, progress: Progress | None) -> Path:
    reasons = []
    for address in remote.addresses:
        try:
            return _get(address, target, progress)
        except (requests.RequestException, ValueError) as error:
            reasons.append(f"{address.url}: {_reason(error)}")
    raise DataError(f"{target.name} did not come from {'; nor from '.join(reasons)}.")


def _get(address: Address, target: Path, progress: Progress | None) -> Path:
    """The file from one address.

    Raises:
        ValueError: what came has not the checksum.
    """

    pooch.get_logger().setLevel("WARNING")  # progress is told by ours

    def resuming(url: str, output_file: str | Path, _: object) -> None:
        _resume(url, _part(target), progress)
        _part(target).replace(output_file)

    path = pooch.retrieve(address.url, address.checksum, target.name, target.parent, downloader=resuming)
    return Path(path)


def _resume(url: str, part: Path, progress: Progress | None) -> None:
    """Append to `part` what is missing of `url`; the whole of it where the server cannot begin in the middle."""
    there = _bytes_there(part)
    headers = {"Range": f"bytes={there}-"} if there else {}
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing; the checksum tells whether it is right
        response.raise_for_status()
        goes_on = response.status_code == requests.codes.partial_content
        there = there if goes_on else 0
        length = response.headers.get("Content-Length")
        whole = None if length is None else there + int(length)
        with part.open("ab" if goes_on else "wb") as file:
            for piece in response.iter_content(PIECE):
                file.write(piece)
                there += len(piece)
                if progress is not None:
                    progress(part.name.removesuffix(PART), there, whole)


def _part(target: Path) -> Path:
    return target.with_name(target.name + PART)


def _bytes_there(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"nothing came for {PATIENCE} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
        return "what came is damaged or another file (its checksum is not the published one)"
    return str(error)
