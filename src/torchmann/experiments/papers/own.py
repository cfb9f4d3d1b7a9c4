"""An experiment of ours: parts that come from different papers, in one model and each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.papers.dam import (
    BIT_ACCURACY,
    FINAL,
    SLOTS,
    TO_95,
    algorithmic,
    faster,
    small_dam,
    small_dnc,
)

INTERVAL = 4
"""Steps of an item of associative recall, its flag and three vectors, of which 24 bits fit into a slot of 36."""

SOFTMAX: dict[str, Any] = {"allocation": "softmax"}
UNIFORM: dict[str, Any] = {"writing": f"uniform:{INTERVAL}"}
CACHED: dict[str, Any] = {"writing": f"cached:{INTERVAL}", "engine": "compiled"}
REFRESHING = 0.1

DAMS: dict[str, tuple[int, dict[str, Any], float]] = {
    "DAM-1": (1, {}, 0.0),
    "DAM-2": (2, {}, 0.0),
    "DAM-2-MR p=0.1": (2, {}, REFRESHING),
    "DAM-2, softmax allocation": (2, SOFTMAX, 0.0),
    "DAM-2, uniform writing": (2, UNIFORM, 0.0),
    "DAM-2, cached writing": (2, CACHED, 0.0),
    "DAM-2-MR p=0.1, softmax allocation, uniform writing": (2, SOFTMAX | UNIFORM, REFRESHING),
    "DAM-2-MR p=0.1, softmax allocation, cached writing": (2, SOFTMAX | CACHED, REFRESHING),
}
"""Blocks, keywords beyond them, and probability of refreshing."""

UNIFORM_ONE, CACHED_ONE = list(DAMS)[-2:]


def composition() -> Experiment:
    """DAM's blocks and refreshing, DMA's allocation and cached uniform writing, in one model that no paper has."""
    trials, claims = [], []
    for task, slots in SLOTS.items():
        models = {"DNC": (small_dnc(slots), 0.0), "DNC, softmax allocation": (small_dnc(slots, **SOFTMAX), 0.0)}
        models |= {row: (small_dam(blocks, slots, **options), p) for row, (blocks, options, p) in DAMS.items()}
        trials += [Trial(row, task, algorithmic(f"{task}/dam", model, p=p)) for row, (model, p) in models.items()]
        claims += faster([UNIFORM_ONE, CACHED_ONE], "DAM-2", task) + faster([CACHED_ONE], UNIFORM_ONE, task)
    return Experiment(
        "own/composition",
        "Distributed memory with softmax allocation, cached writing and refreshing",
        "dam",
        BIT_ACCURACY,
        tuple(trials),
        seeds=3,
        claims=tuple(claims),
        measures=(FINAL, TO_95),
        curve="train:bit_accuracy",
        notes=(
            "No paper has this model: the claims are questions of ours.",
            f"The memory is written at every {INTERVAL}th step of the story, and used at every step of the answer; "
            f"{INTERVAL} steps are one item of associative recall.",
            "Cached writing runs in the compiled engine, since no kernel has it: a third of the eager engine's time, "
            "three to four times that of uniform writing, which has a kernel and is there beside it.",
        ),
    )


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"own/composition": composition}
