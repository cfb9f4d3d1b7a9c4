"""The experiments of the paper on differentiable memory allocation (DMA).

Its figures 3 and 5 show examples of the tasks; there is nothing to reproduce in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import average, extra, last, reached, unsteadiness
from torchmann.experiments.papers.side_by_side import inference_ratio, otherwise, training_ratio
from torchmann.training import Config, RunDirectory

ROWS = {"NMA (sorted)": "sorted", "DMA (softmax)": "softmax"}
NMA, DMA = ROWS

NOTES = (
    "The paper released no code; what it leaves open is as in the code of the DNC's authors, whose task and settings "
    "it takes.",
    "The strength of the softmax is 1 + softplus of one more number of the interface: the paper gives its range only.",
    "RMSProp keeps its epsilon outside the root, and its mean square starts at 0; in the paper's library they are "
    "inside, and 1.",
    "The captions of the paper mix up the names of both methods; the faster and steadier one is the softmax.",
)
RANDOM_START = (
    "The memory starts from fixed random numbers, because slots that start alike stay alike when allocation is a "
    "softmax; the paper does not say how its memory starts.",
)
OF_ROW: dict[str, tuple[str, ...]] = {NMA: (), DMA: RANDOM_START}
WORDS = (
    "Words come as learned vectors of 64 numbers; the paper says no more than that it follows the DNC's.",
    "A tenth of the training stories is kept for validation, and stories longer than 800 words are left out.",
    "The loss is averaged over the steps of a story, questions answered or not; the paper does not say.",
)

SMOOTH = 10
"""Points of a curve that are averaged before it is said to have reached a level."""


def _dnc(allocation: str, size: int, **options: Any) -> tuple[str, dict[str, Any]]:
    sizes = {"hidden_size": 64, "slots": size, "width": size, "reads": 4}
    return "dnc", {**sizes, "allocation": allocation, **options}


def _trained(
    task: str | tuple[str, dict[str, Any]], model: tuple[str, dict[str, Any]], lr: float, **settings: Any
) -> Config:
    rmsprop = ("rmsprop", {"lr": lr, "alpha": 0.9, "momentum": 0.0, "eps": 1e-10})
    return config(task, model, rmsprop, clip="global", clip_limit=50.0, **settings)


def _copy(allocation: str) -> Config:
    """Section 3.1."""
    run = {"batch_size": 16, "iterations": 100_000, "checkpoint_every": 5_000}
    logged = {"log_every": 500, "evaluate_every": 5_000, "evaluation_batches": 10, "evaluation_batch_size": 64}
    return _trained("repeat-copy/dma", _dnc(allocation, 16), 1e-4, **run, **logged)


def _babi(model: tuple[str, dict[str, Any]], **settings: Any) -> Config:
    """Section 3.2."""
    run = {"batch_size": 1, "evaluation_batch_size": 1, **settings}
    return _trained(("babi/dam", {"holdout": 0.1}), model, 1e-3, **run)


def figure1() -> Experiment:
    """Figure 1: accuracy on copy and repeat over the iterations, and what the text says of the loss."""
    accuracy = Measure("mean bit accuracy while it learnt", average("train:bit_accuracy", 100), "%")
    loss = Measure("cross entropy over the last twentieth", last("train:loss", 10), "nats", "lower", 3)
    smooth = Measure("unsteadiness of the loss", unsteadiness("train:loss"), "nats", "lower", 2)
    final = Measure("bit accuracy over the last twentieth", last("train:bit_accuracy", 10, 100), "%")
    level = reached("train:bit_accuracy", 0.99, window=SMOOTH)
    told = (
        ("Softmax allocation converges sooner.", None),
        ("It comes to a lower cross entropy.", loss),
        ("It comes to a higher accuracy.", final),
        ("Its curve is smoother.", smooth),
    )
    column = "copy and repeat"
    return Experiment(
        "dma/figure1",
        "Copy and repeat with allocation by sorting and by a softmax",
        "dma",
        accuracy,
        tuple(Trial(row, column, _copy(rule), deviations=OF_ROW[row]) for row, rule in ROWS.items()),
        claims=tuple(Claim(text, f"{DMA} | {column}", f"{NMA} | {column}", measure) for text, measure in told),
        measures=(final, loss, Measure("iterations to 99 %", level, "", "lower", 0), smooth),
        curve="train:bit_accuracy",
        notes=NOTES,
    )


def figure2() -> Experiment:
    """Figure 2: accuracy on bAbI over the iterations, which is the same with both."""
    run = {"iterations": 50_000, "checkpoint_every": 2_500, "log_every": 250}
    judged = {"evaluate_every": 2_500, "evaluation_batches": 200}
    return Experiment(
        "dma/figure2",
        "bAbI with allocation by sorting and by a softmax",
        "dma",
        Measure("words right over the last twentieth", last("train:word_accuracy", 10, 100), "%"),
        tuple(
            Trial(
                row,
                "bAbI",
                _babi(_dnc(rule, 64), **run, **judged),
                deviations=(*WORDS, *OF_ROW[row]),
            )
            for row, rule in ROWS.items()
        ),
        measures=(Measure("mean word accuracy while it learnt", average("train:word_accuracy", 100), "%"),),
        curve="train:word_accuracy",
        notes=(*NOTES, "The paper claims that both are equally accurate on bAbI, and prints no number."),
    )


def figure4() -> Experiment:
    """Figure 4: time of an iteration on bAbI, 2.02 s with sorting and 1.15 s with a softmax."""
    engines = {"plain": "eager", "fused": "fused"}
    run = {"iterations": 200, "checkpoint_every": 200, "log_every": 2}
    judged = {"evaluate_every": 200, "evaluation_batches": 10, "test_batches": 10}
    measure = Measure("training speed against sorting", extra("training_speed"), "times", digits=2)
    return Experiment(
        "dma/figure4",
        "Time of an iteration on bAbI",
        "dma",
        measure,
        tuple(
            Trial(
                row,
                f"{name} engine",
                _babi(_dnc(rule, 64, engine=engine), **run, **judged),
                Reported({NMA: 1.0, DMA: 2.02 / 1.15}[row], tolerance=0.1),
                deviations=(*WORDS, *OF_ROW[row]),
                note=f"in the paper {seconds} s an iteration, on hardware that it does not name",
            )
            for name, engine in engines.items()
            for (row, rule), seconds in zip(ROWS.items(), (2.02, 1.15), strict=True)
        ),
        claims=tuple(
            Claim(f"Softmax allocation is faster ({name} engine).", f"{DMA} | {name} engine", f"{NMA} | {name} engine")
            for name in engines
        ),
        measures=(Measure("inference speed against sorting", extra("inference_speed"), "times", digits=2),),
        notes=(
            *NOTES,
            "Speeds are medians of steps that take turns with those of the same model with sorted allocation, in one "
            "process; that of sorted allocation itself shows what is left of chance.",
            "Short trainings: the time of an iteration does not depend on what was learnt.",
        ),
        inspect=speed_against_sorting,
    )


def speed_against_sorting(run: RunDirectory) -> Mapping[str, float]:
    """How many times as fast as its twin with sorted allocation a run's model is, in training and in inference."""
    trained = run.config()
    twin = otherwise(trained, allocation="sorted")
    return {"training_speed": training_ratio(trained, twin), "inference_speed": inference_ratio(trained, twin)}


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "dma/figure1": figure1,
    "dma/figure2": figure2,
    "dma/figure4": figure4,
}
