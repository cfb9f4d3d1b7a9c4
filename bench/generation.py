"""Which part of a training iteration is the drawing of its batch, and whether a thread of its own would help.

    python bench/generation.py [TASK ...]          some minutes on one core; tasks whose data is absent are left out

For each task, in blocks of a few iterations, interleaved:

* ``draw``: only drawing batches;
* ``LSTM`` and ``DNC``: iterations (forward, loss, backward, Adam) on one batch, over and over: no drawing;
* ``LSTM, drawn`` and ``LSTM, drawn ahead``: the same with a new batch each time, drawn in between, or by a second
  thread while the iteration before is computed.

Printed are medians in milliseconds of time on the clock, and the part of an iteration that drawing is: draw / (draw +
model). The LSTM is `torch.nn.LSTM`, the cheapest model there is; a memory network takes at least as long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from torchmann import models, tasks
from torchmann.core.errors import DataError
from torchmann.tasks import Batch, Task

ROUNDS, BLOCK = 7, 3
HIDDEN = 128

WORKLOADS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("copy/dam", 16, {}),
    ("repeat-copy/dma", 16, {}),
    ("recall/dam", 16, {}),
    ("priority-sort/armin", 1, {}),
    ("ngram/ntm", 1, {}),
    ("double/uw", 64, {}),
    ("max/uw", 64, {}),
    ("sinusoid/uw", 64, {}),
    ("representation-recall/dam", 16, {}),
    ("nth-farthest/dam", 1600, {}),
    ("convex-hull/dam", 128, {}),
    ("babi", 32, {"tasks": [1, 2]}),
    ("pmnist", 50, {}),
    ("ptb", 128, {}),
    ("ag-news", 32, {"allow_partial": True}),
    ("imdb", 32, {}),
)
"""Task, batch size, keywords: as the papers have them."""


class PlainLSTM(nn.Module):
    """`torch.nn.LSTM` behind what the task needs."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        tokens = task.input_kind == "tokens"
        self.encoder = nn.Embedding(task.input_size, 64) if tokens else nn.Identity()
        self.lstm = nn.LSTM(64 if tokens else task.input_size, HIDDEN)
        self.head = nn.Linear(HIDDEN, task.output_size)

    def forward(self, inputs: Tensor, **_: Any) -> tuple[Tensor, Any]:
        """Logits and the state."""
        output, state = self.lstm(self.encoder(inputs))
        return self.head(output), state


def dnc(task: Task) -> nn.Module:
    """A DNC of 128 units with 64 slots of 36, one read head."""
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return models.build("dnc", input_kind=task.input_kind, **sizes, hidden_size=HIDDEN, slots=64, width=36)


def contestants(task: Task, rows: int, pool: ThreadPoolExecutor) -> dict[str, Callable[[], object]]:
    """A block of iterations of each, by name."""
    fixed = task.batch(0, rows, seed=0)

    def drawn() -> Iterator[Batch]:
        for index in range(BLOCK):
            yield task.batch(index, rows, seed=0)

    def drawn_ahead() -> Iterator[Batch]:
        coming = pool.submit(task.batch, 0, rows, seed=0)
        for index in range(1, BLOCK + 1):
            batch = coming.result()
            coming = pool.submit(task.batch, index, rows, seed=0)
            yield batch
        coming.result()

    def training(model: nn.Module, batches: Callable[[], Any]) -> Callable[[], None]:
        optimiser = torch.optim.Adam(model.parameters())

        def block() -> None:
            for batch in batches():
                output, _ = model(batch.inputs, lengths=batch.lengths)
                loss = task.loss(output, batch)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

        return block

    return {
        "draw": lambda: list(drawn()),
        "LSTM": training(PlainLSTM(task), lambda: [fixed] * BLOCK),
        "LSTM, drawn": training(PlainLSTM(task), drawn),
        "LSTM, drawn ahead": training(PlainLSTM(task), drawn_ahead),
        "DNC": training(dnc(task), lambda: [fixed]),
    }


def measured(task: Task, rows: int) -> dict[str, float]:
    """Milliseconds an iteration of each contestant, medians over the rounds; the DNC runs twice, for it takes long."""
    times: dict[str, list[float]] = {}
    with ThreadPoolExecutor(1) as pool:
        blocks = contestants(task, rows, pool)
        for number in range(ROUNDS + 1):
            for name, block in blocks.items():
                iterations = 1 if name == "DNC" else BLOCK
                if name == "DNC" and number > 2:
                    continue
                started = time.perf_counter()
                block()
                if number:  # the first round warms up
                    times.setdefault(name, []).append((time.perf_counter() - started) / iterations * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help="Those of the workloads to measure; all if none is given.")
    chosen = parser.parse_args().tasks
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {ROUNDS} rounds of {BLOCK} iterations, ms an iteration\n")
    print("| task | batch | draw | LSTM | LSTM, drawn | LSTM, drawn ahead | DNC | share, LSTM | share, DNC |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, rows, options in WORKLOADS:
        if chosen and name not in chosen:
            continue
        try:
            times = measured(tasks.make(name, **options), rows)
        except DataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        shares = [times["draw"] / (times["draw"] + times[model]) for model in ("LSTM", "DNC")]
        cells = [f"{time:.2f}" for time in times.values()] + [f"{share:.1%}" for share in shares]
        print(f"| {name} | {rows} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
