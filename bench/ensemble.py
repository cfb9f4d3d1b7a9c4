"""Ten seeds at once against the same ten one after another, at the sizes of W2 (one sequence of 60 steps).

    python bench/ensemble.py                       eager, some minutes on one core
    python bench/ensemble.py --engine fused --models dnc
    python bench/ensemble.py --lengths 1 29        sequences that differ in length: the shorter ones are padded

Both do whole iterations of the training loop without files: new batches of the copy task, forward, loss, backward,
clipping, RMSProp, loss and scores of the metrics. Rounds are interleaved; printed are medians in milliseconds of one
iteration of all seeds, and the ratio: the median over the rounds, with its quartiles.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import torch

from torchmann.training import Choice, Config, Ensemble, Settings, Training
from torchmann.training.run import training_of

W2 = {"hidden_size": 120, "slots": 128, "width": 20}
GATED = {"hidden_size": 100, "slots": 50}
SIZES = {"dnc": W2, "ntm": W2, "armin": GATED, "tardis": GATED, "lstm": {"hidden_size": 300}}
ITERATIONS = 3
"""Of a round."""


def members(model: str, engine: str, seeds: int, lengths: tuple[int, int], threads: int) -> list[Training]:
    """Trainings that differ in their seeds."""
    task = Choice("copy", {"bits": 8, "min_length": lengths[0], "max_length": lengths[1]})
    body = Choice(model, {**SIZES[model], "engine": engine})
    made = []
    for seed in range(seeds):
        settings = Settings(batch_size=1, iterations=10**9, log_every=10**9, seed=seed, threads=threads)
        made.append(training_of(Config(task, body, Choice("rmsprop"), settings)))
    for member in made:
        member.start()
    return made


def seconds(run: Callable[[], object]) -> float:
    """Of an iteration, as the mean over a round."""
    started = time.perf_counter()
    for _ in range(ITERATIONS):
        run()
    return (time.perf_counter() - started) / ITERATIONS


def compare(alone: list[Training], together: Ensemble, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of an iteration of all members, one after another and at once, in each round."""

    def one_after_another() -> None:
        for member in alone:
            member.step()

    seconds(one_after_another), seconds(together.step)  # warm up
    gc.collect()
    pairs = [(seconds(one_after_another), seconds(together.step)) for _ in range(rounds)]
    one, other = zip(*pairs, strict=True)
    return list(one), list(other)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--engine", default="eager")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--lengths", type=int, nargs=2, default=(29, 29), metavar=("SHORTEST", "LONGEST"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    print(
        f"torch {torch.__version__}, {asked.threads} threads, batch 1, {asked.seeds} seeds, engine {asked.engine}, ",
        end="",
    )
    print(f"lengths {asked.lengths[0]} to {asked.lengths[1]}, {asked.rounds} rounds, ms an iteration of all seeds")
    print("model   one after another   at once   ratio")
    for model in asked.models:
        made = [members(model, asked.engine, asked.seeds, tuple(asked.lengths), asked.threads) for _ in range(2)]
        one, other = compare(made[0], Ensemble(made[1]), asked.rounds)
        low, middle, high = statistics.quantiles([a / b for a, b in zip(one, other, strict=True)], n=4)
        times = f"{statistics.median(one) * 1e3:17.1f} {statistics.median(other) * 1e3:9.1f}"
        print(f"{model:7} {times}   {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main()
