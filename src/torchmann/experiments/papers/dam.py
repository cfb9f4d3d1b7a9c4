"""The experiments of "Distributed associative memory network with memory refreshing loss" (DAM, MRL): bits.

Those on relations and on bAbI are in `dam_reasoning` and `dam_babi`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Trial, config
from torchmann.experiments.measures import average, reached, tested
from torchmann.experiments.papers.dam_gates import EVENNESS, SMALLEST, gates
from torchmann.experiments.record import Record
from torchmann.training import Config


def _mean_likelihood(record: Record) -> float | None:
    """The accuracy that the authors' code logs, exp(-cross entropy of a bit), averaged over a training."""
    values = record.curve("train:bit_cross_entropy")[1]
    return 100 * statistics.fmean(math.exp(-value) for value in values) if values else None


BIT_ACCURACY = Measure("mean bit accuracy while it learnt", average("train:bit_accuracy", 100), "%")
"""The mean height of the curves that the figures show."""

FINAL = Measure("bit accuracy", tested("bit_accuracy", times=100), "%")
TO_95 = Measure("iterations to 95 %", reached("train:bit_accuracy", 0.95, window=4), "", "lower", 0)
LIKELIHOOD = Measure("mean exp(-cross entropy of a bit) while it learnt", _mean_likelihood, "%")

ALGORITHMIC = ("rmsprop", {"lr": 1e-4, "alpha": 0.9, "momentum": 0.9, "eps": 1e-10})

EQUATIONS = (
    "Strengths are oneplus, and retention takes the read weightings as they are: the paper's equations. The authors' "
    "code has softplus, and weightings multiplied by the gate."
)
RMSPROP = "PyTorch's RMSProp starts with a mean square of 0, TensorFlow's with 1, so the first steps here are larger."
NOTES = (
    EQUATIONS,
    "The paper's DNC has DAM's layer normalisation, bypass dropout and reads by content only, so it is DAM-1. The "
    "authors' code has one with temporal links and without these, which is the row DNC.",
    "Accuracy is the share of bits that are right when rounded; the paper's is by an L1 distance, and its code logs "
    "exp(-cross entropy of a bit).",
    RMSPROP,
)
REFRESHED = "gamma of the refreshing loss is taken per sequence, as in the paper; its code takes it per batch."
PROBABILITIES = "The text does not name the probabilities of the figure: 0.1, 0.3 and 0.5 are tried."

SLOTS = {"copy": 64, "recall": 32}
"""Table A.1."""

Model = tuple[str, dict[str, Any]]


def small_dam(blocks: int, slots: int, width: int = 36, **options: Any) -> Model:
    """DAM-K of the tasks on bits (tables A.1 and A.2)."""
    return "dam", {"blocks": blocks, "hidden_size": 128, "slots": slots, "width": width} | options


def small_dnc(slots: int, width: int = 36, **options: Any) -> Model:
    """The DNC of the same sizes, with temporal links."""
    return "dnc", {"hidden_size": 128, "slots": slots, "width": width} | options


def algorithmic(
    task: str | tuple[str, dict[str, Any]], model: Model, iterations: int = 10_000, p: float = 0.0
) -> Config:
    """Section 4.1 and Table A.2: batch 16, RMSProp, gradients clipped at a norm of 50, refreshing by probability p."""
    common = {"batch_size": 16, "iterations": iterations, "clip": "global", "clip_limit": 50.0}
    evaluated = {"evaluate_every": iterations // 20, "evaluation_batches": 5, "evaluation_batch_size": 64}
    logged = {"log_every": iterations // 200, "checkpoint_every": iterations // 20}
    return config(task, model, ALGORITHMIC, refresh_probability=p, **common, **evaluated, **logged)


def row_name(blocks: int, p: float = 0.0) -> str:
    """As the paper calls DAM-K, with refreshing or without."""
    return f"DAM-{blocks}-MR p={p}" if p else f"DAM-{blocks}"


def _pair(better: str, worse: str, column: str) -> tuple[str, str]:
    """The keys of two models on one task."""
    return f"{better} | {column}", f"{worse} | {column}"


def faster(rows: Iterable[str], than: str, column: str) -> list[Claim]:
    """The claims that each of the models learns faster than another one, on one task."""
    return [Claim(f"{row} learns faster than {than} on {column}.", *_pair(row, than, column)) for row in rows]


def more_accurate(row: str, than: str, column: str) -> Claim:
    """The claim that a model ends more accurate than another one, on one task."""
    return Claim(f"{row} ends more accurate than {than} on {column}.", *_pair(row, than, column), FINAL)


def _experiment(
    name: str,
    title: str,
    trials: Sequence[Trial],
    claims: Sequence[Claim] = (),
    *,
    seeds: int = 10,
    notes: Sequence[str] = (),
    **others: Any,
) -> Experiment:
    """An experiment by the height of its curves."""
    measured = {"measures": (FINAL, TO_95, LIKELIHOOD), "curve": "train:bit_accuracy"} | others
    return Experiment(
        f"dam/{name}",
        title,
        "dam",
        BIT_ACCURACY,
        tuple(trials),
        seeds=seeds,
        claims=tuple(claims),
        notes=(*NOTES, *notes),
        **measured,
    )


def figure2() -> Experiment:
    """Figure 2: DAM-K learns copy and associative recall faster than one memory."""
    trials, claims = [], []
    for task, slots in SLOTS.items():
        for blocks, p, count in ((1, 0.0, 110_000), (2, 0.0, 130_000), (3, 0.0, 150_000), (2, 0.1, 130_000)):
            trial = algorithmic(f"{task}/dam", small_dam(blocks, slots), p=p)
            note = "refreshing is of figure 6" if p else ""
            trials.append(Trial(row_name(blocks, p), task, trial, parameters=count, note=note))
        trials.append(Trial("DNC", task, algorithmic(f"{task}/dam", small_dnc(slots)), parameters=110_000))
        claims += faster(["DAM-2", "DAM-3"], "DAM-1", task)
    title = "Copy and associative recall with one, two and three memories"
    return _experiment("figure2", title, trials, claims, notes=(REFRESHED,))


RECALLED = {1: (256, 380_000), 2: (128, 310_000), 4: (64, 270_000), 8: (32, 260_000)}
"""Representation recall, by number of blocks: width of a slot, and parameters (table A.2)."""


def representation_recall(blocks: int, segments: int, generator: str = "released") -> Trial:
    """One place of figure 3: 20,000 iterations; all models have 32 x 256 numbers of memory."""
    width, count = RECALLED[blocks]
    column = f"{segments} segments" + (", shuffled" if generator == "shuffled" else "")
    trial = _recalling(small_dam(blocks, 32, width), segments, generator)
    return Trial(row_name(blocks), column, trial, parameters=count)


def _recalling(model: Model, segments: int, generator: str = "released") -> Config:
    task = ("representation-recall/dam", {"segments": segments, "generator": generator})
    return algorithmic(task, model, 20_000)


def figure3() -> Experiment:
    """Figure 3: one memory cut into more blocks recalls more of what it was shown."""
    trials = [representation_recall(blocks, segments) for segments in (2, 4, 8, 16) for blocks in RECALLED]
    trials += [representation_recall(blocks, segments, "shuffled") for segments in (8, 16) for blocks in RECALLED]
    trials += [
        Trial("DNC", f"{segments} segments", _recalling(small_dnc(32, 256), segments), parameters=380_000)
        for segments in (8, 16)
    ]
    claims = [
        claim
        for column in ("8 segments", "16 segments")
        for claim in faster(["DAM-2", "DAM-4", "DAM-8"], "DAM-1", column)
    ]
    claims += [more_accurate(f"DAM-{2 * blocks}", f"DAM-{blocks}", "16 segments") for blocks in (1, 2, 4)]
    notes = (
        "The paper speaks of 2 to 16 segments and of N = 2, 4, 8, half of their number: 2, 4, 8 and 16 are run.",
        "Columns named shuffled are ours: the released generator sorts the values of each segment over the vectors, so "
        "that the segments that are shown hint at those asked for.",
    )
    measures = (FINAL, TO_95, LIKELIHOOD, SMALLEST, EVENNESS)
    title = "Representation recall with one memory in 1, 2, 4 and 8 blocks"
    return _experiment("figure3", title, trials, claims, notes=notes, measures=measures, inspect=gates)


TOTAL_WIDTHS = (36, 72, 108)


def figure4() -> Experiment:
    """Figure 4: associative recall with 16 slots, their total width in one, two or three blocks."""
    trials, claims = [], []
    for total in TOTAL_WIDTHS:
        column = f"recall, width {total}"
        for blocks in (1, 2, 3):
            model = small_dam(blocks, 16, total // blocks)
            trials.append(Trial(row_name(blocks), column, algorithmic("recall/dam", model)))
        claims += [more_accurate(row_name(blocks), "DAM-1", column) for blocks in (2, 3)]
    claims += faster(["DAM-2", "DAM-3"], "DAM-1", f"recall, width {TOTAL_WIDTHS[-1]}")
    notes = ("Panel (a) has no sizes in the text: total widths 36, 72 and 108 are run; 108 is that of (b) and (c).",)
    return _experiment("figure4", "Associative recall, one width of memory divided", trials, claims, notes=notes)


REFRESHING = (0.0, 0.1, 0.3, 0.5)


def _refreshing(slots: dict[str, int], blocks: int) -> tuple[list[Trial], list[Claim]]:
    """DAM-1 and DAM-K on both tasks with every probability, and that refreshing makes them learn faster."""
    trials, claims = [], []
    for task in slots:
        for count in (1, blocks):
            for p in REFRESHING:
                trial = algorithmic(f"{task}/dam", small_dam(count, slots[task]), p=p)
                trials.append(Trial(row_name(count, p), task, trial))
            claims += faster([row_name(count, p) for p in REFRESHING[1:]], row_name(count), task)
        claims += faster([row_name(1, REFRESHING[-1])], row_name(1, REFRESHING[1]), task)
    return trials, claims


def figure6() -> Experiment:
    """Figure 6: memory refreshing speeds up one memory, the more the larger its probability, and DAM-3."""
    trials, claims = _refreshing(SLOTS, blocks=3)
    title = "Copy and associative recall with memory refreshing"
    return _experiment("figure6", title, trials, claims, notes=(REFRESHED, PROBABILITIES))


FEW_SLOTS = {"copy": 16, "recall": 16}


def figure_d1() -> Experiment:
    """Figure D.1: the attentive gate of DAM-2 over the steps of representation recall."""
    return _gate_figure("figure-d1", 2)


def figure_d2() -> Experiment:
    """Figure D.2: the attentive gate of DAM-4."""
    return _gate_figure("figure-d2", 4)


def _gate_figure(name: str, blocks: int) -> Experiment:
    """The paper draws an episode; the numbers are means over test sequences, for each step as well."""
    trials = tuple(representation_recall(blocks, segments) for segments in (8, 16))
    notes = (
        EQUATIONS,
        RMSPROP,
        "The paper draws the gate of one episode; here it is averaged over sequences, step by step.",
    )
    title = f"The attentive gate of DAM-{blocks} while it answers"
    return Experiment(
        f"dam/{name}",
        title,
        "dam",
        SMALLEST,
        trials,
        seeds=1,
        measures=(EVENNESS, FINAL),
        curve="train:bit_accuracy",
        notes=notes,
        inspect=gates,
    )


def figure_e1() -> Experiment:
    """Figure E.1: as figure 2, with 16 slots, fewer than there are vectors to keep."""
    trials, claims = [], []
    for task, slots in FEW_SLOTS.items():
        trials += [
            Trial(row_name(blocks), task, algorithmic(f"{task}/dam", small_dam(blocks, slots))) for blocks in (1, 2, 3)
        ]
        claims += faster(["DAM-2", "DAM-3"], "DAM-1", task)
    return _experiment("figure-e1", "Copy and associative recall with 16 slots", trials, claims, seeds=5)


def figure_e2() -> Experiment:
    """Figure E.2: as figure 6, with 16 slots and DAM-2."""
    trials, claims = _refreshing(FEW_SLOTS, blocks=2)
    claims += [claim for task in FEW_SLOTS for claim in faster([row_name(2, 0.5)], row_name(2, 0.1), task)]
    title = "Copy and associative recall with 16 slots and memory refreshing"
    return _experiment("figure-e2", title, trials, claims, seeds=5, notes=(REFRESHED, PROBABILITIES))


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "dam/figure2": figure2,
    "dam/figure3": figure3,
    "dam/figure4": figure4,
    "dam/figure6": figure6,
    "dam/figure-d1": figure_d1,
    "dam/figure-d2": figure_d2,
    "dam/figure-e1": figure_e1,
    "dam/figure-e2": figure_e2,
}
