"""The fused engine against the frozen DNC, our eager engine and `nn.LSTM`: one training iteration of each, interleaved.

    python bench/fused.py                 W1, W1b1, W2, W3
    python bench/fused.py W1 --rounds 9

One iteration is forward, loss, backward and an RMSprop step. Printed are medians, and ratios of medians with the
quartiles of the ratios round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from frozen_dnc import FrozenDNC
from torch import Tensor, nn

import torchmann as tm


class Workload(NamedTuple):
    """Sizes of a benchmark; `lstm` is the width of the `nn.LSTM` beside it."""

    inputs: int
    outputs: int
    hidden: int
    slots: int
    width: int
    heads: int
    batch: int
    steps: int
    threads: int
    lstm: int


WORKLOADS = {
    "W1": Workload(10, 8, 128, 64, 36, 1, 16, 65, 2, 128),
    "W1b1": Workload(10, 8, 128, 64, 36, 1, 1, 65, 1, 128),
    "W2": Workload(10, 8, 120, 128, 20, 1, 1, 60, 1, 300),
    "W3": Workload(64, 160, 256, 128, 48, 4, 32, 100, 2, 256),
}


class LSTM(nn.Module):
    """`nn.LSTM` with an output layer."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.lstm, self.readout = nn.LSTM(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Run over a sequence."""
        return self.readout(self.lstm(inputs)[0])


class Ours(nn.Module):
    """One of our models under an engine."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Run over a sequence."""
        return self.model(inputs)[0]


def models(w: Workload) -> dict[str, nn.Module]:
    """What is measured, by name."""
    memory = {"slots": w.slots, "width": w.width, "reads": w.heads, "output_size": w.outputs}
    return {
        "nn.LSTM": LSTM(w.inputs, w.lstm, w.outputs),
        "frozen DNC": FrozenDNC(w.inputs, w.hidden, w.outputs, w.slots, w.width, w.heads),
        "DNC eager": Ours(tm.DNC(w.inputs, w.hidden, engine="eager", **memory)),
        "DNC fused": Ours(tm.DNC(w.inputs, w.hidden, engine="fused", **memory)),
        "DAM-2 eager": Ours(tm.DAM(w.inputs, w.hidden, engine="eager", **memory)),
        "DAM-2 fused": Ours(tm.DAM(w.inputs, w.hidden, engine="fused", **memory)),
    }


def iteration(model: nn.Module, w: Workload) -> Callable[[], None]:
    """One training iteration."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(2, (w.steps, w.batch, w.inputs), generator=generator).float()
    targets = torch.randint(2, (w.steps, w.batch, w.outputs), generator=generator).float()
    optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-4, momentum=0.9)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(inputs), targets).backward()
        optimiser.step()

    return run


def measured(w: Workload, rounds: int, only: list[str]) -> dict[str, list[float]]:
    """Milliseconds of an iteration, round by round; each number is the mean of a few in a row."""
    torch.set_num_threads(w.threads)
    runs = {name: iteration(model, w) for name, model in models(w).items() if not only or name in only}
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            count = 1 if "eager" in name or "frozen" in name else 5
            started = time.perf_counter()
            for _ in range(count):
                run()
            times[name].append((time.perf_counter() - started) / count * 1e3)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    for workload in options.workloads or WORKLOADS:
        w = WORKLOADS[workload]
        times = measured(w, options.rounds, options.only)
        middle = {name: statistics.median(values) for name, values in times.items()}
        print(f"{workload}: {w.threads} thread{'s' * (w.threads > 1)}, milliseconds of an iteration")
        for name, value in middle.items():
            print(f"  {name:<12}{value:9.2f}   fastest {min(times[name]):9.2f}")
        for fast, slow in (("DNC fused", "frozen DNC"), ("nn.LSTM", "DNC fused"), ("DAM-2 fused", "DAM-2 eager")):
            if fast in times and slow in times:
                ratios = [b / a for a, b in zip(times[fast], times[slow], strict=True)]
                low, _, high = statistics.quantiles(ratios, n=4)
                print(f"  {slow} / {fast}: {middle[slow] / middle[fast]:.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
