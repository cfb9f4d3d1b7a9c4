"""The experiments of "Distributed associative memory network with memory refreshing loss": bAbI, all tasks jointly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import average, tested, tested_above, tested_mean
from torchmann.experiments.papers.dam import EQUATIONS, PROBABILITIES, RMSPROP, faster, row_name
from torchmann.training import Config

COLUMN = "bAbI"
QUOTED = "quoted by the paper"

UPDATES, TUNING = 97_600, 10_000
"""50 epochs of 1,952 batches at 3e-5, then fine-tuning at 1e-5."""

ERROR = Measure("mean error of the 20 tasks", tested_mean("error_qa", times=100), "%", "lower", 2)
FAILED = Measure("tasks with an error above 5 %", tested_above("error_qa", 0.05), "", "lower", 1)
WORDS = Measure("answered words right", tested("word_accuracy", times=100), "%", digits=2)
LEARNING = Measure("mean accuracy while it learnt", average("train:question_accuracy", 100), "%")

NOTES = (
    EQUATIONS,
    "The learning rate is 3e-5: the paper names 1e-5, 3e-5 and 1e-4 and not which gave its numbers.",
    "gamma of the refreshing loss is at least 1 and taken per sequence, and words of questions are never refreshed, as "
    "in the paper; its code does otherwise.",
    RMSPROP,
)

SIZES = {1: (192, 64, 800_000), 2: (128, 48, 790_000), 3: (128, 48, 880_000), 4: (128, 48, 970_000)}
"""Slots, width and parameters by number of blocks (table A.3)."""


def joint(blocks: int, p: float = 0.0) -> Config:
    """Sections 4.3 and A.2.2: batch 32, RMSProp, about 0.1 million updates and 10,000 more at a smaller rate."""
    slots, width, _ = SIZES[blocks]
    model: dict[str, Any] = {"hidden_size": 256, "slots": slots, "width": width, "reads": 4, "blocks": blocks}
    optimiser = {"lr": 3e-5, "alpha": 0.9, "momentum": 0.9, "eps": 1e-10}
    return config(
        "babi/dam",
        ("dam", model),
        ("rmsprop", optimiser),
        batch_size=32,
        iterations=UPDATES + TUNING,
        learning_rate=f"steps:3e-5:-2e-5:{UPDATES}:1e-5",
        clip="global",
        clip_limit=50.0,
        refresh_probability=p,
        log_every=600,
        evaluate_every=UPDATES,
        evaluation_batch_size=32,
        checkpoint_every=2000,
    )


def _trial(blocks: int, p: float = 0.0, reported: Reported | None = None, note: str = "") -> Trial:
    count = SIZES[blocks][2]
    return Trial(row_name(blocks, p), COLUMN, joint(blocks, p), reported=reported, parameters=count, note=note)


def _experiment(
    name: str,
    title: str,
    trials: Sequence[Trial],
    claims: Sequence[Claim] = (),
    measure: Measure = ERROR,
    **others: Any,
) -> Experiment:
    measures = (FAILED, WORDS, LEARNING) if measure is ERROR else (ERROR, FAILED, WORDS)
    return Experiment(
        f"dam/{name}",
        title,
        "dam",
        measure,
        tuple(trials),
        seeds=10,
        claims=tuple(claims),
        measures=measures,
        curve="train:question_accuracy",
        **{"notes": NOTES} | others,
    )


def _errs_less(better: str, worse: str) -> Claim:
    return Claim(f"{better} errs less than {worse}.", f"{better} | {COLUMN}", f"{worse} | {COLUMN}")


def table3() -> Experiment:
    """Table 3: mean error over the 20 tasks, mean and deviation of ten runs."""
    quoted = {
        "DNC": (16.7, 7.6, "best 3.8"),
        "SDNC": (6.4, 2.5, "best 2.9"),
        "rsDNC": (6.3, 2.7, "best 3.6"),
        "DNC-MD": (9.5, 1.6, ""),
        "NUTM": (5.6, 1.9, "best 3.3"),
    }
    trials = [
        Trial(row, COLUMN, reported=Reported(mean, sd, quoted=True), missing=QUOTED, note=best)
        for row, (mean, sd, best) in quoted.items()
    ]
    trials += [
        _trial(2, 0.1, Reported(1.5, 1.3), "the paper's best run: 0.16"),
        _trial(2, 0.3, Reported(2.5, 1.0), "the paper's best run: 0.14"),
    ]
    claims = [_errs_less(row_name(2, 0.1), row_name(2, 0.3))]
    return _experiment("table3", "bAbI, mean of ten runs", trials, claims)


def table4() -> Experiment:
    """Table 4: the error of the best run."""
    quoted = {"Transformer": 22.1, "UT": 0.29, "MNM-p": 0.175, "MEMO": 0.21, "STM": 0.15}
    trials = [
        Trial(row, COLUMN, reported=Reported(error, quoted=True), missing=QUOTED) for row, error in quoted.items()
    ]
    trials += [_trial(2, 0.1, Reported(0.16)), _trial(2, 0.3, Reported(0.14))]
    notes = (*NOTES, "The paper's numbers are of the best of ten runs: compare them with the column of our best one.")
    return _experiment("table4", "bAbI, best of ten runs", trials, notes=notes)


def figure5() -> Experiment:
    """Figure 5: more blocks of one size err less on bAbI, and their runs differ less."""
    trials = [_trial(blocks) for blocks in SIZES]
    claims = [_errs_less(row_name(blocks + 1), row_name(blocks)) for blocks in (1, 2, 3)]
    return _experiment("figure5", "bAbI with one to four memories", trials, claims)


def figure_c1() -> Experiment:
    """Figure C.1: how DAM-2 converges on bAbI with several probabilities of refreshing."""
    trials = [_trial(2, p) for p in (0.0, 0.1, 0.3, 0.5)]
    claims = faster([row_name(2, p) for p in (0.1, 0.3, 0.5)], row_name(2), COLUMN)
    notes = (*NOTES, PROBABILITIES)
    return _experiment("figure-c1", "bAbI with memory refreshing", trials, claims, LEARNING, notes=notes)


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "dam/table3": table3,
    "dam/table4": table4,
    "dam/figure5": figure5,
    "dam/figure-c1": figure_c1,
}
