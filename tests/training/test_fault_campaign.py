"""Real processes, killed at random moments: whatever struck a run, it resumes to the numbers of one left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TINY = "--task copy --task.bits 2 --task.max_length 3 --model lstm --model.hidden_size 6 --batch_size 2"


def test_a_short_campaign() -> None:
    """In a process of its own, for it forks before anything has been computed; `fault_campaign` has the long one."""
    line = [sys.executable, "-m", "tests.training.fault_campaign", "--kills", "5", "--seed", "3"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("runs") >= 1 and sum(seen.values()) >= 5


def start(path: Path, *flags: str) -> subprocess.Popen[str]:
    """``python -m torchmann train`` in a process of its own, when its third checkpoint is there."""
    line = [
        sys.executable,
        "-m",
        "torchmann",
        "train",
        *TINY.split(),
        "--checkpoint_every",
        "1",
        "--output",
        str(path),
        *flags,
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (path / "checkpoints" / "00000003.safetensors").exists():
        assert time.monotonic() < end and process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def test_what_a_signal_tells_the_user(tmp_path: Path) -> None:
    process = start(tmp_path / "run", "--iterations", "1000000")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == ""
    told = re.search(r"stopped after iteration (\d+); go on with: torchmann train --resume (\S+)", out)
    assert told and told[2] == str(tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / f"{int(told[1]):08}.safetensors").exists()


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/sys/fs/cgroup").exists(), reason="only root may mount")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 300 kB in memory; each checkpoint takes tens of them."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no mounting here")
    try:
        line = [
            sys.executable,
            "-m",
            "torchmann",
            "train",
            *TINY.split(),
            "--iterations",
            "400",
            "--checkpoint_every",
            "1",
        ]
        more = ["--keep_every", "1", "--log_every", "1", "--output", str(small / "run")]
        done = subprocess.run([*line, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        told = r"torchmann: cannot write \S+: No space left on device\. Make room, then go on .* train --resume \S+\n"
        assert re.fullmatch(told, done.stderr)
        kept = sorted((small / "run" / "checkpoints").iterdir())
        assert len(kept) > 2 and not [path for path in kept if path.name.startswith(".")]
        for old in kept[:-2]:
            old.unlink()
        resume = [sys.executable, "-m", "torchmann", "train", "--resume", str(small / "run"), "--iterations"]
        reached = int(kept[-1].stem)
        done = subprocess.run([*resume, str(reached + 2)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and f"after iteration {reached}" in done.stdout, done.stderr
    finally:
        subprocess.run(["umount", str(small)], check=True)
