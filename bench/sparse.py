"""The sparse engine against the number of slots: time of a training step of SAM, once-only costs, peak memory.

    python bench/sparse.py                      about ten minutes, and 4 GiB
    python bench/sparse.py --slots 1000 16000   fewer slots

A step is forward and backward. Its time is the median of the times between one step and the next within a sequence;
what a sequence costs beside its steps (`once`) is the rest of its time. For each number of slots all contestants run
interleaved, round after round; printed are medians over the rounds. In a memory called `new` no slot was written before
the sequence; in one called `full` all were, and the state that holds it was given. Peak memory is that of a process of
its own (Linux), beyond what one takes for a memory of 64 slots; of a full memory it has the given state and its making.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import torchmann as tm
from torchmann.engines.sparse_search import FEW, RowIndex

INPUTS, HIDDEN, WIDTH, NEAREST = 10, 100, 32, 4


class Contestant(NamedTuple):
    """What is measured; the eager and the exact one take no more slots than is said, or they would take minutes."""

    engine: str
    index: str
    full: bool
    at_most: int
    steps: int


CONTESTANTS = {
    "eager": Contestant("eager", "exact", True, 256_000, 12),
    "exact, new": Contestant("sparse", "exact", False, 1_000_000, 64),
    "exact, full": Contestant("sparse", "exact", True, 1_000_000, 12),
    "index, new": Contestant("sparse", "faiss", False, 1_000_000, 64),
    "index, full": Contestant("sparse", "faiss", True, 1_000_000, 64),
}


class Times(NamedTuple):
    """Milliseconds of a step forward and back, and of a sequence beside its steps."""

    forward: float
    backward: float
    once: float


def start(model: tm.Recurrent, slots: int, batch: int, full: bool) -> Any:
    """A state to start from; None is the model's own."""
    if not full:
        return None
    state = model.initial_state(batch)
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(slots // 16 + 1, WIDTH, generator=generator)
    memory = torch.randn(batch, slots, WIDTH, generator=generator).mul_(0.3)
    for start in range(0, slots, 1000):
        rows = memory[:, start : start + 1000]
        rows += centres[torch.randint(len(centres), rows.shape[:2], generator=generator)]
    elapsed = torch.randint(1000, (batch, slots), generator=generator)
    return state._replace(memory=state.memory._replace(memory=memory, elapsed=elapsed))


def sequence(contestant: Contestant, slots: int, batch: int) -> Callable[[], Times]:
    """One training iteration without an optimiser, timed."""
    torch.manual_seed(0)
    options = {"slots": slots, "width": WIDTH, "nearest": NEAREST, "index": contestant.index}
    model = tm.SAM(INPUTS, HIDDEN, engine=contestant.engine, **options)
    state = start(model, slots, batch, contestant.full)
    inputs = torch.randn(contestant.steps, batch, INPUTS)
    begun: list[float] = []
    model.cell.controller.register_forward_pre_hook(lambda *_: begun.append(time.perf_counter()))

    def run() -> Times:
        begun.clear()
        started = time.perf_counter()
        output, _ = model(inputs, state)
        turned = time.perf_counter()
        output.square().mean().backward()
        ended = time.perf_counter()
        first, second = begun[: contestant.steps], begun[contestant.steps :]  # eager backwards has no steps to see
        forward = between(first)
        backward = between(second) if second else (ended - turned) * 1e3 / contestant.steps
        once = (turned - started - first[-1] + first[1]) * 1e3 - 2 * forward  # an index is made in the first step
        if second:
            once += (ended - turned - second[-1] + second[0]) * 1e3 - backward
        return Times(forward, backward, max(once, 0))

    return run


def between(moments: list[float]) -> float:
    """The median time between one moment and the next, in milliseconds."""
    return statistics.median(b - a for a, b in pairwise(moments)) * 1e3


def peak(contestant: Contestant, slots: int, batch: int) -> float:
    """MiB of a process that runs a sequence, at its peak."""
    arguments = [sys.executable, __file__, "--one", str(list(CONTESTANTS.values()).index(contestant))]
    arguments += ["--slots", str(slots), "--batch", str(batch)]
    return float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)


def exponent(times: dict[int, float]) -> float:
    """p of the power law ``time ~ slots^p`` through the smallest and the largest number of slots."""
    few, many = min(times), max(times)
    return math.log(times[many] / times[few]) / math.log(many / few)


def report(slots: list[int], batch: int, rounds: int, contestants: dict[str, Contestant]) -> None:
    """Measure and print."""
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    print(f"SAM, batch {batch}, LSTM of {HIDDEN}, slots of {WIDTH}, one head, {NEAREST} nearest, {threads}, float32")
    print(f"{'':<13}{'slots':>9}{'forward':>10}{'backward':>10}{'a step':>9}{'once':>9}   ms{'peak':>9} MiB")
    cases = [(name, size) for name, each in contestants.items() for size in slots if size <= each.at_most]
    times: dict[tuple[str, int], list[Times]] = {case: [] for case in cases}
    for size in slots:  # one size at a time, or all memories would be there at once
        runs = {name: sequence(contestants[name], size, batch) for name, its in cases if its == size}
        for number in range(rounds + 1):
            for name, run in runs.items():
                found = run()
                if number:  # the first round warms up
                    times[name, size].append(found)
    base = peak(CONTESTANTS["exact, new"], 64, batch)
    for name, each in contestants.items():
        steps: dict[int, float] = {}
        for size in (size for its, size in cases if its == name):
            forward, backward, once = map(statistics.median, zip(*times[name, size], strict=True))
            steps[size] = forward + backward
            memory = peak(each, size, batch) - base
            print(
                f"{name:<13}{size:>9,}{forward:>10.2f}{backward:>10.2f}{steps[size]:>9.2f}{once:>9.0f}{memory:>14.0f}"
            )
        if len(steps) > 1:
            print(f"{'':<13}a step grows with the power {exponent(steps):.2f} of the slots")


def found(units: Tensor) -> float:
    """Which part of the nearest rows an index finds, for queries close to some rows."""
    near = units[torch.randperm(len(units))[:200]]
    queries = torch.nn.functional.normalize(near + 0.1 * torch.randn(near.shape), dim=-1)
    nearest = (queries @ units.mT).topk(NEAREST).indices
    hits = RowIndex(units.numpy()).search(queries.numpy(), NEAREST).unsqueeze(-1) == nearest.unsqueeze(-2)
    return hits.any(-1).float().mean().item()


def report_found(slots: list[int]) -> None:
    """Print what indexes find among rows as in the full memories, and among rows without any order."""
    for size in (size for size in slots if size >= FEW):
        model = tm.SAM(INPUTS, HIDDEN, slots=size, width=WIDTH)
        clustered = start(model, size, 1, True).memory.memory[0]
        parts = [found(torch.nn.functional.normalize(rows)) for rows in (clustered, torch.randn(size, WIDTH))]
        print(
            f"of the nearest rows an index finds, {size:,} rows: {parts[0]:.0%} clustered, {parts[1]:.0%} without order"
        )


def main() -> None:
    """Measure and print; with --one, run one sequence and print the peak of the process in MiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="*", default=[1_000, 16_000, 256_000, 1_000_000])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one is not None:
        sequence(list(CONTESTANTS.values())[options.one], options.slots[0], options.batch)()
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return
    faiss = importlib.util.find_spec("faiss") is not None
    contestants = {name: each for name, each in CONTESTANTS.items() if faiss or each.index == "exact"}
    report(options.slots, options.batch, options.rounds, contestants)
    if faiss:
        report_found(options.slots)


if __name__ == "__main__":
    main()
