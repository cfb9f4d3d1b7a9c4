"""The experiments of "Structured memory for neural Turing machines" (NTM1, NTM2, NTM3)."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import extra
from torchmann.training import Config, RunDirectory

CALM, PEAK = 0.1, 1.0
"""Nats an item of eight bits: the median loss of a run that has learnt, and the loss of an episode that went wrong."""

WINDOW = 25
"""Iterations of the running median."""

SERIES = "vector_cross_entropy"
"""Nats an item."""


def convergence(run: RunDirectory) -> dict[str, float]:
    """Whether a run has learnt, when, and how many episodes went wrong after that.

    Returns:
        ``converged``, 1 or 0; where it is 1 ``low_loss``, the iteration at which the median of the last `WINDOW` losses
        is first below `CALM`, and ``peaks``, losses above `PEAK` in 1,000 iterations since.
    """
    lines = [line for line in run.measurements() if line.split == "train" and SERIES in line.scores]
    losses = [line.scores[SERIES] for line in lines]
    for end in range(WINDOW, len(losses) + 1):
        if statistics.median(losses[end - WINDOW : end]) < CALM:
            found = {"converged": 1.0, "low_loss": float(lines[end - 1].iteration)}
            later = losses[end:]
            return found | ({"peaks": 1000 * sum(loss > PEAK for loss in later) / len(later)} if later else {})
    return {"converged": 0.0}


LOW_LOSS = Measure("iterations to low loss", extra("low_loss"), "", "lower", 0)
CONVERGED = Measure("runs that converge", extra("converged", 100), "%", "higher", 0)
PEAKS = Measure("loss peaks in 1,000 iterations after that", extra("peaks"), "", "lower", 1)

TWO, ONE = "NTM, 2 read and 2 write heads", "NTM, 1 read and 1 write head"
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    TWO: ("ntm", {"preset": "released", "reads": 2, "writes": 2}),
    ONE: ("ntm", {"preset": "released"}),
    "NTM1": ("ntm1", {"preset": "paper"}),
    "NTM2": ("ntm2", {"preset": "paper"}),
    "NTM3": ("ntm3", {"preset": "paper"}),
}

ITERATIONS = {"copy": 20_000, "recall": 60_000}

REPORTED = {  # iterations of recall, where a run converges
    TWO: Reported(50_000),
    ONE: Reported(50_000),
    "NTM1": Reported(50_000),
    "NTM2": Reported(37_000),
}

PROSE = {
    f"{TWO} | copy": "500 iterations sooner than NTM1 and NTM2; more outliers",
    f"{ONE} | copy": "clearly slower than with two heads",
    "NTM1 | copy": "converges; few outliers",
    "NTM2 | copy": "converges; few outliers",
    "NTM3 | copy": "an outlier about every 1,000 iterations",
    f"{TWO} | recall": "convergence is rare; the paper does not say with how many heads",
    f"{ONE} | recall": "convergence is rare; the paper does not say with how many heads",
    "NTM1 | recall": "converges more often than the NTM; fewer outliers",
    "NTM2 | recall": "converges more often than the NTM; fewer outliers",
    "NTM3 | recall": "rarely converges",
}


def _episodes(task: str, model: tuple[str, dict[str, Any]]) -> Config:
    """Section 3, and torch-ntm where it is silent; a line of metrics an iteration, as peaks are single episodes."""
    name, options = model
    sizes = {"hidden_size": 100, "slots": 128, "width": 20, "similarity": "cosine"}
    return config(
        f"{task}/ntm",
        (name, options | sizes),
        ("graves", {"lr": 1e-4, "decay": 0.95, "momentum": 0.9, "eps": 1e-4}),
        batch_size=1,
        iterations=ITERATIONS[task],
        clip="value",
        clip_limit=10.0,
        log_every=1,
        evaluate_every=ITERATIONS[task] // 20,
        evaluation_batches=1,
        evaluation_batch_size=50,
        checkpoint_every=ITERATIONS[task] // 20,
    )


def _better(text: str, better: str, worse: str, task: str, measure: Measure) -> Claim:
    return Claim(text.format(better=better, worse=worse), f"{better} | {task}", f"{worse} | {task}", measure)


def _claims() -> tuple[Claim, ...]:
    smoothed, stable = ("NTM1", "NTM2"), "{better} has fewer loss peaks than {worse} on "
    often = "{better} converges more often than {worse} on recall."
    sooner = "{better} reaches low loss sooner than {worse} on "
    return (
        *(_better(stable + "copy.", each, other, "copy", PEAKS) for each in smoothed for other in (TWO, "NTM3")),
        *(_better(sooner + "copy, by 500 iterations.", TWO, each, "copy", LOW_LOSS) for each in smoothed),
        _better(sooner + "copy.", TWO, ONE, "copy", LOW_LOSS),
        *(_better(sooner + "recall.", "NTM2", each, "recall", LOW_LOSS) for each in (TWO, ONE, "NTM1")),
        *(_better(often, each, other, "recall", CONVERGED) for each in smoothed for other in (TWO, ONE, "NTM3")),
        *(_better(stable + "recall.", each, other, "recall", PEAKS) for each in smoothed for other in (TWO, ONE)),
    )


def figure2() -> Experiment:
    """Figure 2: copy and associative recall with an NTM and with three structured memories, eight panels."""
    trials = tuple(
        Trial(
            row,
            task,
            _episodes(task, model),
            REPORTED.get(row) if task == "recall" else None,
            note=f"paper: {PROSE[f'{row} | {task}']}",
        )
        for task in ITERATIONS
        for row, model in MODELS.items()
    )
    return Experiment(
        "structured-ntm/figure2",
        "Copy and associative recall with structured memories",
        "structured_ntm",
        LOW_LOSS,
        trials,
        seeds=5,
        claims=_claims(),
        measures=(CONVERGED, PEAKS),
        curve=f"train:{SERIES}",
        notes=(
            "What the paper leaves open is as in torch-ntm, which it builds on: a controller of 100 units, batches of "
            "one episode, copies of 1 to 20 items, recall of 2 to 6 items of three vectors, Graves' form of RMSProp.",
            "The mixing scalars a and b are learnt and start at 0.5; the paper says of them that they are scalars.",
            "The paper does not say how long it trained: here 20,000 iterations of copy, 60,000 of recall.",
            f"Low loss: the median of {WINDOW} iterations is below {CALM} nats an item; a peak: an iteration above "
            f"{PEAK:g}. The paper judges by eye, from one iteration in 25.",
            "Similarities have the epsilon inside the root of the norms, where torch-ntm adds it to their product.",
        ),
        inspect=convergence,
    )


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"structured-ntm/figure2": figure2}
