from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torchmann.core.atomic import clear_unfinished, write_atomically

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    for content in (b"old", b"new and longer"):
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def fail(*_: Any, **__: Any) -> None:
    raise FULL


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file_and_no_debris(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "file", b"old")
    with (
        monkeypatch.context() as patch,
        pytest.raises(OSError, match=r"^cannot write .*/file: No space left on device\.$"),
    ):
        patch.setattr(where, fail)
        write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_file_and_directory_are_synced_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before the name, the name before the return: also a power failure leaves one of the two files."""
    seen: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        seen.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        seen.append("name")
        return replace(self, target)

    monkeypatch.setattr("os.fsync", watched_fsync)
    monkeypatch.setattr("pathlib.Path.replace", watched_replace)
    write_atomically(tmp_path / "file", b"content")
    assert seen == ["file", "name", "directory"]


SMALL_FILES_ONLY = """
import resource, signal, sys
from pathlib import Path
from torchmann.core.atomic import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
path = Path(sys.argv[1])
write_atomically(path, b"old")
try:
    write_atomically(path, b"new" * 1000)
except OSError as error:
    print(error)
"""


def test_a_disk_that_takes_only_a_part_leaves_the_old_file(tmp_path: Path) -> None:
    """A real failing write, half done: the process may not write files above a thousand bytes."""
    path = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES_ONLY, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {path}: File too large.\n"
    assert path.read_bytes() == b"old" and [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_can_be_cleared(tmp_path: Path) -> None:
    (tmp_path / ".file.unfinished").write_bytes(b"hal")
    (tmp_path / ".other").write_bytes(b"mine")
    clear_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".other"]
