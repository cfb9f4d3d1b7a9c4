"""Files that can't be read or run are a verdict with one clear sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from torchmann.interop import verify
from torchmann.interop.verify import read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
GOOD = GOLDENS / "deepmind-dnc-clip.npz"


def truncated(path: Path) -> None:
    path.write_bytes(GOOD.read_bytes()[:5000])


def flipped(path: Path) -> None:
    damaged = bytearray(GOOD.read_bytes())
    damaged[3000:3400] = bytes(400)
    path.write_bytes(bytes(damaged))


def pickled(path: Path) -> None:
    np.savez(path, meta=np.array({"a": 1}, dtype=object))


def nothing_recorded(path: Path) -> None:
    kept = {key: value for key, value in read_case(GOOD).items() if not key.startswith(("output", "state/", "grad/"))}
    np.savez(path, **kept)


def no_meta(path: Path) -> None:
    np.savez(path, **{key: value for key, value in read_case(GOOD).items() if key != "meta"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: None, "is no file"),
        (lambda path: path.mkdir(), "is no file"),
        (lambda path: path.write_text("hello"), "is no .npz file, or it was cut short"),
        (lambda path: path.write_bytes(b""), "is no .npz file"),
        (truncated, "is no .npz file, or it was cut short"),
        (flipped, "is damaged"),
        (pickled, "is damaged: Object arrays cannot be loaded"),
        (nothing_recorded, "there is nothing to compare with"),
        (no_meta, "'meta' is missing"),
    ],
)
def test_files_that_cannot_be_run(damage, message: str, tmp_path: Path) -> None:
    path = tmp_path / "case.npz"
    damage(path)
    verdict = verify(path)
    assert not verdict.agrees and message in verdict.error and "\n" not in verdict.error


def test_a_good_file_agrees_wherever_it_lies(tmp_path: Path) -> None:
    shutil.copy(GOOD, tmp_path / "elsewhere.npz")
    verdict = verify(tmp_path / "elsewhere.npz")
    assert verdict.agrees and verdict.source == "deepmind-dnc"
    worst = verdict.worst("grad/")
    assert worst is not None and 0 < worst.excess < 1 and verdict.worst("nothing/") is None
