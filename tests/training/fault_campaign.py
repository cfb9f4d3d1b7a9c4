"""Kills training runs at random moments and checks that each resumes to the numbers of a run that was left alone.

    python -m tests.training.fault_campaign --kills 100

Each run is a process of its own, forked from this one, which has imported everything: so a kill costs milliseconds, and
most of them hit training, checkpoints and metrics rather than imports. Every run gets a checkpoint after every
iteration. What strikes, in turn at random: ``kill -9``, SIGTERM, Ctrl-C, twice Ctrl-C, a disk that takes no file
above a random size, and after any of them now and then a damaged newest checkpoint or a half-written file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from torchmann.cli import main

SMALL = (
    "--batch_size 2 --iterations 24 --log_every 3 --evaluate_every 4 --evaluation_batches 1 --evaluation_batch_size 3"
)
RUNS = {
    "noise, refreshing, curriculum": "--task copy --task.bits 2 --task.max_length 4 --model armin "
    "--model.hidden_size 6 --model.slots 3 --model.zoneout_keep 0.9 --refresh_probability 0.3 "
    "--curriculum length=loss:1:2",
    "stream in chunks, cached writing": "--task markov --task.symbols 4 --task.steps 6 --task.length 200 --model ntm "
    "--model.hidden_size 6 --model.slots 3 --model.width 4 --model.writing cached:4 --truncate 4",
    "patience": "--task recall --model lstm --model.hidden_size 6 --patience 3 --optimiser rmsprop",
}
STRIKES = ("kill", "kill", "kill", "terminate", "interrupt", "interrupt twice", "full disk")


def run(arguments: list[str], log: Path, file_size: int | None = None) -> int:
    """Start ``torchmann`` in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
        if file_size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        status = main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(status)
    return child


def strike(child: int, how: str, after: float) -> int:
    """Strike a process after some seconds, unless it ends before; its status as `subprocess` tells it."""
    end = time.monotonic() + after
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    blows = {"kill": [signal.SIGKILL], "terminate": [signal.SIGTERM], "interrupt": [signal.SIGINT]}
    for blow in blows.get(how, [signal.SIGINT, signal.SIGINT] if how == "interrupt twice" else []):
        os.kill(child, blow)
        time.sleep(0.003)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def damage(path: Path, numbers: random.Random) -> str | None:
    """Now and then do what a dying disk does, if an older checkpoint is left to go on from."""
    checkpoints = sorted((path / "checkpoints").glob("*.safetensors"))
    if checkpoints and numbers.random() < 0.2:
        (checkpoints[0].parent / ".00000099.safetensors.unfinished").write_bytes(b"half")
    if len(checkpoints) < 2 or numbers.random() < 0.75:
        return None
    content = checkpoints[-1].read_bytes()
    checkpoints[-1].write_bytes(content[: numbers.randrange(len(content))])
    return "damaged checkpoint"


def numbers_of(path: Path) -> tuple[list[dict[str, Any]], bytes, dict[str, Any]]:
    """All that must come out the same: what was measured, the weights, the final evaluation."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    evaluation = json.loads((path / "evaluation.json").read_text())
    for timed in (*lines, evaluation):
        del timed["seconds"]
    return lines, (path / "model.safetensors").read_bytes(), evaluation


def campaign(kills: int, seed: int, folder: Path) -> Counter[str]:
    """Strike until that many strikes have hit a run.

    Returns:
        How often what struck, and how many runs came through.

    Raises:
        AssertionError: a run could not be resumed, or came to other numbers.
    """
    numbers, seen = random.Random(seed), Counter[str]()
    wanted, seconds = {}, {}
    for name, flags in RUNS.items():
        path, started = folder / f"whole {name}", time.monotonic()
        status = strike(run(command(flags, path), folder / "log"), "none", 3600)
        assert status == 0, (folder / "log").read_text()
        wanted[name], seconds[name] = numbers_of(path), time.monotonic() - started
    while seen.total() - seen["runs"] - seen["damaged checkpoint"] < kills:
        name = numbers.choice(list(RUNS))
        path, log = folder / f"run {seen['runs']}", folder / f"log {seen['runs']}"
        survive(name, path, log, seconds[name], numbers, seen)
        assert numbers_of(path) == wanted[name], f"{name}: other numbers, see {path} and {log}"
        shutil.rmtree(path)
        seen["runs"] += 1
    return seen


def survive(name: str, path: Path, log: Path, seconds: float, numbers: random.Random, seen: Counter[str]) -> None:
    """Run to the end through one strike after the other, the last of which may come late."""
    strikes_left = numbers.randint(1, 8)
    while True:
        begun = (path / "config.yaml").exists()
        arguments = ["train", "--resume", str(path)] if begun else command(RUNS[name], path)
        how = numbers.choice(STRIKES) if strikes_left else "none"
        limit = numbers.choice([700, 3_000, 10_000, 20_000, 40_000]) if how == "full disk" else None
        after = 3600 if how in ("none", "full disk") else numbers.uniform(0, 0.7 * seconds)
        status = strike(run(arguments, log, limit), how, after)
        if status == 0:
            return
        hit = {"kill": [-9], "terminate": [130, -15], "interrupt": [130, -2], "interrupt twice": [130, -2]}
        assert status in hit.get(how, [1]), f"{name}: status {status} after {how}, see {log}: {log.read_text()[-2000:]}"
        seen[how] += 1
        if (path / "evaluation.json").exists():  # its last file: struck after the end
            return
        strikes_left -= 1
        if damaged := damage(path, numbers):
            seen[damaged] += 1


def command(flags: str, path: Path) -> list[str]:
    """The command line of a run that keeps a checkpoint of every iteration."""
    return ["train", *SMALL.split(), "--checkpoint_every", "1", *flags.split(), "--output", str(path)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="strikes that must hit")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the kinds")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        print(json.dumps(campaign(parsed.kills, parsed.seed, Path(made))))
