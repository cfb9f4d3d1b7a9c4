"""What a training iteration costs beside the work that no loop can do without, at batch 1.

    python bench/loop_overhead.py                      with `torch.nn.LSTM`, about a minute on one core
    python bench/loop_overhead.py --models dnc ntm     models of the library at the sizes of W2, in the fused engine

Contestants, in blocks of as many iterations as there are between two lines of the metrics, interleaved:

* ``bare``: forward, loss, backward and a step of Adam, over and over on one batch;
* ``bare with batches``: the same on a new batch each time, drawn from the task;
* ``Training``: our loop, with all that it does in a run without files: new batches, clipping, the loss and the scores
  of the metrics, the search for numbers that are not finite, and the snapshot that it would go back to.

Printed are medians in microseconds an iteration, and which part of our iteration is not the contestant's work. The
time is that of the only thread's computing, which other processes of the machine disturb little; alone on a machine it
is the time on the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmann import models, tasks
from torchmann.training import Settings, Training

BLOCK = 20
SETS = 5
SIZES = ((64, 10), (128, 20), (256, 20), (256, 50), (512, 20))
"""Hidden units, and vectors to copy; a sequence has twice as many steps and two more."""

W2 = {"hidden_size": 120, "slots": 128, "width": 20}
GATED = {"hidden_size": 100, "slots": 50, "width": 32}
OURS = {"dnc": W2, "ntm": W2, "ntm2": W2, "armin": GATED, "tardis": GATED, "lstm": {"hidden_size": 300}}
LENGTH = 29
"""Vectors to copy at the sizes of W2."""


class PlainLSTM(nn.Module):
    """`torch.nn.LSTM` and a linear layer; what the loop tells a model beside the inputs is of no use to it."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size)
        self.head = nn.Linear(hidden_size, output_size)

    def forward(self, inputs: Tensor, **_: Any) -> tuple[Tensor, Any]:
        """Logits and the state."""
        output, state = self.lstm(inputs)
        return self.head(output), state


def plain(hidden_size: int) -> Callable[[tasks.Task], nn.Module]:
    """Makes an LSTM of torch for a task."""
    return lambda task: PlainLSTM(task.input_size, hidden_size, task.output_size)


def ours(name: str) -> Callable[[tasks.Task], nn.Module]:
    """Makes a model of the library for a task."""
    sizes = {"engine": "fused", **OURS[name]}
    return lambda task: models.build(
        name, input_kind="vector", input_size=task.input_size, output_size=task.output_size, **sizes
    )


def contestants(make: Callable[[tasks.Task], nn.Module], length: int) -> dict[str, Callable[[], object]]:
    """A block of iterations of each contestant, by name."""
    task = tasks.make("copy", bits=8, min_length=length, max_length=length)
    settings = Settings(batch_size=1, iterations=10**9, log_every=BLOCK, evaluate_every=10**9)
    made = [make(task) for _ in range(3)]
    optimisers = [torch.optim.Adam(model.parameters()) for model in made]
    training = iter(Training(made[2], task, optimisers[2], settings))
    fixed = task.batch(0, 1, seed=0)

    def iterate(model: nn.Module, optimiser: torch.optim.Optimizer, batch: tasks.Batch) -> None:
        output, _ = model(batch.inputs)
        loss = task.loss(output, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def bare() -> None:
        for _ in range(BLOCK):
            iterate(made[0], optimisers[0], fixed)

    def with_batches() -> None:
        for index in range(BLOCK):
            iterate(made[1], optimisers[1], task.batch(index, 1, seed=0))

    return {"bare": bare, "bare with batches": with_batches, "Training": lambda: next(training)}


def microseconds(block: Callable[[], object]) -> float:
    """Computing time of one iteration of a block."""
    started = time.thread_time()
    block()
    return (time.thread_time() - started) / BLOCK * 1e6


def measured(make: Callable[[tasks.Task], nn.Module], length: int, rounds: int) -> dict[str, list[float]]:
    """The times of all blocks by contestant; models are made anew `SETS` times, for their place in memory matters."""
    times: dict[str, list[float]] = {}
    for _ in range(SETS):
        blocks = contestants(make, length)
        for number in range(rounds + 2):
            for name, block in blocks.items():
                time_of_block = microseconds(block)
                if number >= 2:  # the first ones warm up
                    times.setdefault(name, []).append(time_of_block)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--models", nargs="+", choices=OURS, help="In place of torch's LSTMs.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, 1 thread, batch 1, {SETS} x {asked.rounds} rounds of {BLOCK} iterations, "
        "us an iteration"
    )
    chosen = {name: (ours(name), LENGTH) for name in asked.models or ()} or {
        f"nn.LSTM, {hidden_size}": (plain(hidden_size), length) for hidden_size, length in SIZES
    }
    print("model         steps    bare  bare with batches  Training   not bare   not bare with batches")
    for name, (make, length) in chosen.items():
        times = measured(make, length, asked.rounds).values()
        bare, batches, loop = (statistics.median(each) for each in times)
        shares = f"{1 - bare / loop:10.1%} {1 - batches / loop:23.1%}"
        print(f"{name:12} {2 * length + 2:6} {bare:7.0f} {batches:18.0f} {loop:9.0f} {shares}")


if __name__ == "__main__":
    main()
