"""Two real processes with half the batch each are one process with the whole batch."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tests.training.two_processes import CONFIGS

from torchmann.core import OptionError
from torchmann.training import RunDirectory, resume_run, train_run
from torchmann.training.processes import Processes

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]


TINY = "--task copy --task.max_length 3 --model lstm --model.hidden_size 8 --evaluate_every 4 --log_every 2"


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*LAUNCHER, *arguments], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes."""
    path = tmp_path_factory.mktemp("two")
    done = launch("tests.training.two_processes", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_are_one_with_the_whole_batch(name: str, shared: Path, tmp_path: Path) -> None:
    """Losses whose divisor differs from one half to the other, noise, refreshing, chunks, streams."""
    whole = train_run(CONFIGS[name], tmp_path / "whole", stream=io.StringIO()).directory
    both = RunDirectory(shared / name)
    assert len(both.measurements()) == len(whole.measurements()) == 6
    for ours, theirs in zip(both.measurements(), whole.measurements(), strict=True):
        assert ours[:2] == theirs[:2] and ours.loss == pytest.approx(theirs.loss, rel=1e-6)
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-6)
    for file in ("model.safetensors", "checkpoints/00000003.safetensors", "checkpoints/00000005.safetensors"):
        one, two = (safetensors.torch.load((run.path / file).read_bytes()) for run in (whole, both))
        assert one.keys() == two.keys() and len(one) > 5
        for leaf, value in one.items():
            torch.testing.assert_close(
                two[leaf], value, rtol=1e-5, atol=1e-6, msg=lambda text, leaf=leaf: f"{leaf}: {text}"
            )


def test_a_run_is_resumed_by_as_many_processes(shared: Path) -> None:
    with pytest.raises(
        OptionError, match=r"was trained by 2 processes, and these are 1: .* torchrun --nproc_per_node 2"
    ):
        resume_run(shared / "noise", iterations=6, stream=io.StringIO())


def test_shares_cover_all_rows() -> None:
    for rows, count in ((6, 2), (7, 3), (4, 4)):
        parts = [Processes(rank, count).share(rows) for rank in range(count)]
        assert [row for part in parts for row in range(rows)[part]] == list(range(rows))


def test_one_process_keeps_what_it_has() -> None:
    alone = Processes.of_torchrun()
    numbers = torch.ones(2)
    assert alone.first and alone.count == 1 and alone.share(5) == slice(0, 5)
    assert alone.add(numbers) is numbers and alone.agree(True, False) == [True, False]


@pytest.mark.slow
def test_all_processes_stop_after_the_same_iteration(tmp_path: Path) -> None:
    """The launcher hands Ctrl-C on; who hears of it first must not leave the others waiting for its gradients."""
    run = tmp_path / "run"
    line = [*LAUNCHER, "torchmann", "train", *TINY.split(), "--iterations", "1000000", "--output", str(run)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    told = re.search(r"stopped after iteration (\d+); go on with: torchmann train --resume", out)
    assert told and int(told[1]) in RunDirectory(run).checkpoints.iterations()


@pytest.mark.slow
def test_the_command_under_torchrun(tmp_path: Path) -> None:
    """Started, resumed to a new limit, and the same as one process; the first process alone prints and writes."""
    run = tmp_path / "run"
    done = launch("torchmann", "train", *TINY.split(), "--batch_size", "3", "--iterations", "4", "--output", str(run))
    assert done.returncode == 0, done.stderr
    assert len(re.findall("Done after 4 iterations", done.stdout)) == 1
    done = launch("torchmann", "train", "--resume", str(run), "--iterations", "8")
    assert done.returncode == 0, done.stderr
    assert len(re.findall("going on with", done.stdout)) == 1
    config = RunDirectory(run).config()
    whole = train_run(replace(config, settings=replace(config.settings, batch_size=6)), tmp_path / "whole")
    pairs = zip(RunDirectory(run).measurements(), whole.directory.measurements(), strict=True)
    assert all(ours[:2] == theirs[:2] and ours.loss == pytest.approx(theirs.loss, rel=1e-6) for ours, theirs in pairs)
