"""How many CPU threads suit a model: found by trying."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TextIO

import torch

if TYPE_CHECKING:  # a run asks for threads, and threads try a run
    from torchmann.training.config import Config

GAIN = 0.95
"""More threads must take less than this share of one thread's time, or they are not worth the disturbance."""

ROUNDS = 5


def fastest_threads(step: Callable[[], object], counts: Sequence[int]) -> tuple[int, dict[int, float]]:
    """The number of threads on which `step` is fastest, and the median seconds on each.

    Rounds are interleaved, so that what else runs on the machine disturbs all alike. One thread wins unless another
    number is clearly faster. The number of threads afterwards is that of before.

    Args:
        step: one iteration; it runs once on each number before anything is timed.
        counts: numbers to try, 1 among them.
    """
    before = torch.get_num_threads()
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    try:
        for number in range(ROUNDS + 1):
            for count in counts:
                torch.set_num_threads(count)
                started = time.perf_counter()
                step()
                if number:
                    seconds[count].append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    medians = {count: statistics.median(values) for count, values in seconds.items()}
    return chosen(medians), medians


def chosen(medians: Mapping[int, float]) -> int:
    """The fastest number of threads, or 1 where it is not clearly faster than 1."""
    best = min(medians, key=medians.__getitem__)
    return best if medians[best] < GAIN * medians[1] else 1


def use_threads(threads: int | Literal["auto"]) -> None:
    """Compute on so many threads from now on; on one where the number is still to be found."""
    torch.set_num_threads(1 if threads == "auto" else threads)


def candidates() -> list[int]:
    """1, 2, 4 and so on, up to the cores of this machine."""
    cores = os.cpu_count() or 1
    return sorted({*(2**power for power in range(cores.bit_length()) if 2**power <= cores), cores})


def with_threads(config: Config, try_out: Callable[[Config], Callable[[], object]], stream: TextIO) -> Config:
    """`config` with a number of threads in place of ``"auto"``, which is said on `stream`.

    Args:
        config: of a run.
        try_out: makes a training that can be thrown away; it gives what does one iteration of it.
        stream: where the choice is told.
    """
    if config.settings.threads != "auto":
        return config
    counts = candidates()
    step = try_out(replace(config, settings=replace(config.settings, threads=1)))
    count, medians = fastest_threads(step, counts)
    told = ", ".join(f"{1e3 * medians[each]:.1f} ms on {each}" for each in counts)
    print(f"{count} thread{'s' if count > 1 else ''}: an iteration takes {told}", file=stream)
    return replace(config, settings=replace(config.settings, threads=count))
