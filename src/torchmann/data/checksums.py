"""Checksums of what is inside the published files, however they are packed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torchmann.core.errors import DataError


def require_published(place: str | Path, data: bytes, sha256: str) -> None:
    """Raise `DataError` unless the unpacked bytes of a file are the published ones.

    Args:
        place: the file.
        data: its bytes.
        sha256: of the published ones.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{place} is damaged or another file: its content is not the published one. Get it again.")
