"""Measure contestants side by side: interleaved round by round in one process, so that both see the same machine."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchmann.benchmarks.contestants import contestant, is_captured, problem_on
from torchmann.benchmarks.workloads import Workload
from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.training.captured import aside, recorded
from torchmann.training.settings import device_named

Kind = Literal["train", "forward"]
"""``train``: forward, loss, backward and a step of RMSprop. ``forward``: one forward pass without gradients."""

WARM_UP = 2
CAPTURE_WARM_UP = 3
"""Calls before one is captured, as torch's documentation asks."""

BLOCK, MOST = 0.1, 50
"""A contestant runs for so many seconds in a row, but not more often than this."""

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Where Linux tells how much memory a process has had at most, and is asked to count anew."""


@dataclass(frozen=True)
class Result:
    """What was measured of one contestant.

    Attributes:
        seconds: of one iteration, a number for each round, in the order of the rounds.
        first: seconds of the very first iteration, in which kernels are built and steps compiled.
        peak_bytes: memory at most, beyond that of the process before; None where it was not measured.
    """

    seconds: tuple[float, ...]
    first: float
    peak_bytes: int | None = None

    @property
    def median(self) -> float:
        """Seconds of an iteration."""
        return statistics.median(self.seconds)

    @property
    def start_up(self) -> float:
        """Seconds that the first iteration took beyond the others."""
        return max(0.0, self.first - self.median)

    def times(self, other: Result) -> tuple[float, float, float]:
        """How many times as long `other` took: the median over the rounds, and their quartiles."""
        ratios = sorted(theirs / ours for theirs, ours in zip(other.seconds, self.seconds, strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return middle, low, high


def measure(
    sizes: Workload,
    names: Sequence[str],
    *,
    kind: Kind = "train",
    rounds: int = 7,
    memory: bool = False,
    device: str = "cpu",
) -> dict[str, Result]:
    """Time contestants, by name.

    Args:
        sizes: of the sequences and models.
        names: as `contestant` takes them.
        kind: what an iteration is.
        rounds: of each contestant, in turn; two more before them warm up.
        memory: measure the memory as well, on the CPU of each contestant in a process of its own.
        device: where models and batches are, ``"cpu"`` or ``"cuda"``; on the latter a time ends when all kernels have.

    Raises:
        OptionError: an unknown name or kind, no round, no such device, or a contestant that cannot run on it.
    """
    device_named(device)
    for name in names:
        if problem := problem_on(device, name):
            raise OptionError(f"contestant {name!r} cannot run on {device}: {problem}; leave it out.")
    require_positive(rounds=rounds)
    if kind not in get_args(Kind):
        raise unknown_name("kind of iteration", kind, get_args(Kind))
    made = {name: contestant(name) for name in names}
    iterations = {name: iteration(make(sizes), sizes, kind, device, is_captured(name)) for name, make in made.items()}
    first = {name: _seconds(run, device) for name, run in iterations.items()}
    seconds = interleaved(iterations, rounds, device)
    iterations.clear()  # what they hold of a GPU's memory would be missing where that is measured
    peaks = {name: peak_bytes(sizes, name, kind, device) if memory else None for name in names}
    return {name: Result(seconds[name], first[name], peaks[name]) for name in names}


def iteration(
    model: nn.Module, sizes: Workload, kind: Kind, device: str = "cpu", capture: bool = False
) -> Callable[[], None]:
    """One iteration of `model` on a batch of random numbers; captured, it is one CUDA graph from its second call on."""
    model.to(device)
    generator = torch.Generator().manual_seed(0)
    input_TBI = torch.rand(sizes.steps, sizes.batch, sizes.inputs, generator=generator)
    target_TBO = torch.rand(sizes.steps, sizes.batch, sizes.outputs, generator=generator).round()
    input_TBI, target_TBO = input_TBI.to(device), target_TBO.to(device)
    if kind == "forward":
        model.eval()

        def forward() -> None:
            with torch.inference_mode():
                model(input_TBI)

        return captured(forward) if capture else forward
    optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-4, capturable=capture)

    def train() -> None:
        optimiser.zero_grad()
        loss: Tensor = F.binary_cross_entropy_with_logits(model(input_TBI), target_TBO)
        loss.backward()
        optimiser.step()

    return captured(train) if capture else train


def captured(run: Callable[[], None]) -> Callable[[], None]:
    """`run` as a CUDA graph, for which the first call warms up."""
    graph: Any = None

    def replay() -> None:
        nonlocal graph
        if graph is None:
            stream = torch.cuda.Stream()
            for _ in range(CAPTURE_WARM_UP):
                aside(run, stream)
            graph, _ = recorded(run, stream)
        graph.replay()

    return replay


def interleaved(
    iterations: Mapping[str, Callable[[], None]], rounds: int, device: str = "cpu"
) -> dict[str, tuple[float, ...]]:
    """Seconds an iteration of each in every round, without those that warm up.

    In a round a fast one runs several times in a row, for `BLOCK` seconds, as it does in training: after another
    contestant its own data has left the caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in iterations}
    times = dict.fromkeys(iterations, 1)
    gc.collect()
    gc.disable()
    try:
        for number in range(WARM_UP + rounds):
            for name, run in iterations.items():
                taken = _seconds(run, device, times[name])
                if number >= WARM_UP:
                    seconds[name].append(taken)
                else:
                    times[name] = max(1, min(MOST, int(BLOCK / taken)))
    finally:
        gc.enable()
    return {name: tuple(values) for name, values in seconds.items()}


def _seconds(run: Callable[[], None], device: str, times: int = 1) -> float:
    """Seconds of one iteration of so many, until the device has done them."""
    _wait(device)
    started = time.perf_counter()
    for _ in range(times):
        run()
    _wait(device)
    return (time.perf_counter() - started) / times


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_bytes(sizes: Workload, name: str, kind: Kind, device: str = "cpu") -> int | None:
    """What one iteration takes of memory beyond what is there before it; None where the system does not tell.

    On a GPU it is what torch has given out of that GPU's memory.
    """
    if device == "cuda":
        return _peak_on_gpu(sizes, name, kind)
    if not STATUS.exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_here, sizes, name, kind, torch.get_num_threads()).result()


def _peak_on_gpu(sizes: Workload, name: str, kind: Kind) -> int:
    run = iteration(contestant(name)(sizes), sizes, kind, "cuda", is_captured(name))
    gc.collect()  # the models that were measured before
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _peak_here(sizes: Workload, name: str, kind: Kind, threads: int) -> int:
    torch.set_num_threads(threads)
    short = replace(sizes, steps=1)
    iteration(contestant(name)(short), short, kind)()  # builds and loads what is loaded once
    run = iteration(contestant(name)(sizes), sizes, kind)
    FORGET.write_text("5")  # the most memory so far is forgotten
    before = _kibibytes("VmRSS")
    run()
    return (_kibibytes("VmHWM") - before) * 1024


def _kibibytes(field: str) -> int:
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
