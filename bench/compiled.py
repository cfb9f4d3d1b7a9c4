"""Time of a training iteration under the eager and the compiled engine and of nn.LSTM, and the time to compile.

    python bench/compiled.py                     some minutes on one core, most of them compiling
    python bench/compiled.py --models rmc sam --settings W2

An iteration is zero_grad, the forward pass over the sequence, the loss, the backward pass and a step of RMSprop. W1 is
the copy task of the DAM paper (input 10, output 8, 128 units, memory 64x36, batch 16, 65 steps), W2 that of the ARMIN
paper (input 10, output 8, batch 1, 60 steps; 120 units and memory 128x20, ARMIN with 100 units and 50 slots of 32,
nn.LSTM with 300 units); a relational memory has 8 slots of that width, and once 4 wide ones. All run interleaved, round
after round; printed are medians over the rounds. The time to compile is that of the first iteration, once with an empty
cache on the disk and once for a second model of the kind in the same process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

import torchmann as tm

Model = Callable[[], nn.Module]

INPUTS, OUTPUTS = 10, 8
SHAPES = {"W1": (65, 16), "W2": (60, 1)}  # steps, batch
MODELS: dict[str, dict[str, Model]] = {
    "W1": {
        "dnc": lambda: tm.DNC(INPUTS, 128, slots=64, width=36, output_size=OUTPUTS),
        "ntm": lambda: tm.NTM(INPUTS, 128, slots=64, width=36, output_size=OUTPUTS),
        "rmc": lambda: tm.RMC(INPUTS, slots=8, width=36, heads=4, output_size=OUTPUTS),
        "rmc-wide": lambda: tm.RMC(INPUTS, slots=4, width=128, heads=4, output_size=OUTPUTS),
        "armin": lambda: tm.ARMIN(INPUTS, 128, slots=64, width=36, output_size=OUTPUTS),
        "sam": lambda: tm.SAM(INPUTS, 128, slots=64, width=36, output_size=OUTPUTS),
    },
    "W2": {
        "dnc": lambda: tm.DNC(INPUTS, 120, slots=128, width=20, output_size=OUTPUTS),
        "ntm": lambda: tm.NTM(INPUTS, 120, slots=128, width=20, output_size=OUTPUTS),
        "rmc": lambda: tm.RMC(INPUTS, slots=8, width=20, heads=4, output_size=OUTPUTS),
        "rmc-wide": lambda: tm.RMC(INPUTS, slots=4, width=100, heads=4, output_size=OUTPUTS),
        "armin": lambda: tm.ARMIN(INPUTS, 100, slots=50, width=32, output_size=OUTPUTS),
        "sam": lambda: tm.SAM(INPUTS, 120, slots=128, width=20, output_size=OUTPUTS),
    },
}


class PlainLSTM(nn.Module):
    """nn.LSTM with an output layer."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.body, self.head = nn.LSTM(INPUTS, hidden_size), nn.Linear(hidden_size, OUTPUTS)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        output, state = self.body(x)
        return self.head(output), state


def iteration(model: nn.Module, steps: int, batch: int) -> Callable[[], float]:
    """A function that does one training iteration and returns its seconds."""
    optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-5)
    x, target = torch.randn(steps, batch, INPUTS), torch.rand(steps, batch, OUTPUTS)

    def run() -> float:
        started = time.perf_counter()
        optimiser.zero_grad()
        output, _ = model(x)
        nn.functional.binary_cross_entropy_with_logits(output, target).backward()
        optimiser.step()
        return time.perf_counter() - started

    return run


def compared(setting: str, name: str, rounds: int) -> dict[str, float]:
    """Milliseconds of an iteration by engine, and seconds to compile."""
    shape = SHAPES[setting]
    model, again, eager = (MODELS[setting][name]() for _ in range(3))
    model.engine = again.engine = "compiled"
    eager.engine = "eager"
    plain = PlainLSTM(128 if setting == "W1" else 300)
    runs = {kind: iteration(made, *shape) for kind, made in (("eager", eager), ("compiled", model), ("lstm", plain))}
    first = runs["compiled"]()
    second = iteration(again, *shape)()
    times: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(rounds):
        for kind, run in runs.items():
            times[kind].append(run())
    medians = {kind: 1000 * statistics.median(values) for kind, values in times.items()}
    return {**medians, "first": first, "second": second}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--models", nargs="+", default=list(MODELS["W1"]), choices=MODELS["W1"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {options.threads} thread(s); milliseconds an iteration, seconds to compile")
    print(f"{'':12}{'eager':>9}{'compiled':>10}{'ratio':>7}{'nn.LSTM':>9}{'compile':>9}{'2nd model':>11}")
    for setting in options.settings:
        for name in options.models:
            with tempfile.TemporaryDirectory() as empty:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
                found = compared(setting, name, options.rounds)
            ratio = found["eager"] / found["compiled"]
            print(
                f"{setting} {name:9}{found['eager']:9.1f}{found['compiled']:10.1f}{ratio:7.1f}"
                f"{found['lstm']:9.1f}{found['first']:9.1f}{found['second']:11.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
