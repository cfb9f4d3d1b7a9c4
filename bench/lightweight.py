"""Time of one step of ARMIN against the number of slots: light-weight inference, what of it the logits take, eager.

    python bench/lightweight.py                  about a minute on one core

All combinations run interleaved, round after round; printed are medians over the rounds, in microseconds a step.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import torchmann as tm
from torchmann.engines import LightweightStepper

SLOTS = (10, 30, 100, 300, 1000)
STEPS = 200


def per_step(run: Callable[[], object]) -> float:
    """Microseconds of one of STEPS calls."""
    started = time.perf_counter()
    for _ in range(STEPS):
        run()
    return (time.perf_counter() - started) / STEPS * 1e6


def measured(slots: int, batch: int, hidden: int, inputs: int) -> dict[str, Callable[[], float]]:
    """What is timed for one number of slots, by name."""
    model = tm.ARMIN(inputs, hidden, slots=slots).eval().requires_grad_(False)
    x = torch.randn(batch, inputs)
    state = model.initial_state(batch)
    stepper = LightweightStepper(model.cell, state)
    features = {"x": x, "h": stepper.controller.h}

    def eager_step() -> None:
        nonlocal state
        _, state = model.cell(x, state)

    return {
        "lightweight": lambda: per_step(lambda: stepper(x)),
        "logits": lambda: per_step(lambda: model.cell.address.part(features).argmax(-1)),
        "eager": lambda: per_step(eager_step),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--inputs", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for batch in (1, 16):
        runs = {slots: measured(slots, batch, options.hidden, options.inputs) for slots in SLOTS}
        times: dict[tuple[int, str], list[float]] = {}
        with torch.no_grad():
            for _ in range(options.rounds):
                for slots, kinds in runs.items():
                    for name, run in kinds.items():
                        times.setdefault((slots, name), []).append(run())
        print(f"batch {batch}, {options.hidden} units, slots of {options.hidden}, one thread, microseconds a step")
        print(f"{'slots':>6}{'eager':>10}{'lightweight':>13}{'its logits':>12}{'the rest':>10}")
        for slots in SLOTS:
            middle = {name: statistics.median(times[slots, name]) for name in ("eager", "lightweight", "logits")}
            rest = middle["lightweight"] - middle["logits"]
            print(
                f"{slots:>6}{middle['eager']:>10.0f}{middle['lightweight']:>13.0f}"
                f"{middle['logits']:>12.0f}{rest:>10.0f}"
            )


if __name__ == "__main__":
    main()
