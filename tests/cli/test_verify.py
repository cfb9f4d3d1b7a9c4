from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from torchmann.cli import main
from torchmann.interop.verify import read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
GOOD = str(GOLDENS / "deepmind-dnc-init.npz")
TIED = str(GOLDENS / "deepmind-dnc-base.npz")


def test_agreeing_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", GOOD, TIED]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["file", "source", "output", "states", "gradients", "verdict"]
    assert printed[1].startswith("deepmind-dnc-init.npz  deepmind-dnc") and printed[1].endswith("agrees")
    assert "*" in printed[2] and "*" not in printed[1]
    assert printed[-1] == "2 of 2 agree."


def test_every_array_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--all", GOOD]) == 0
    printed = capsys.readouterr().out
    assert all(f"    {key}: deviates by" in printed for key in ("output", "state/link", "grad/input"))


def test_a_miss_and_a_damaged_file_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = read_case(Path(GOOD))
    np.savez(tmp_path / "wrong.npz", **(arrays | {"output": arrays["output"] + 1}))
    (tmp_path / "damaged.npz").write_text("no archive")
    assert main(["verify", str(tmp_path / "wrong.npz"), str(tmp_path / "damaged.npz"), GOOD]) == 1
    printed = capsys.readouterr().out
    assert "MISSES" in printed and "output: deviates by 1.0e+00" in printed and "<- MISS" in printed
    assert "ERROR: " in printed and "1 of 3 agree." in printed


def test_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
