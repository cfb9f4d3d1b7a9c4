"""The experiments of "Distributed associative memory network with memory refreshing loss": relations of points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torchmann import tasks
from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import extra, tested
from torchmann.experiments.papers.dam import ALGORITHMIC, EQUATIONS, RMSPROP
from torchmann.training import Config, RunDirectory, load_run
from torchmann.training.evaluate import evaluate
from torchmann.training.settings import device_named

QUOTED = "quoted by the paper"

PROBABILITY = 0.3
ITERATIONS = 300_000
"""Of the authors' README; the paper does not say."""

RELATIONAL = (
    "The paper does not say what drives the blocks: one linear layer with ReLU, as wide as a slot; each block gets its "
    "output, and the gate has one logit a block of it. Optimiser and output layers are those of DAM."
)
HEAD = "The paper does not say how an RMC reproduces its input: further outputs of the same output layers."
CLOSED = "Bypass dropout is off when tested; the authors' code tests with it on."


def tolerance(percent: float, examples: int) -> float:
    """Two standard errors of a share that was found on so many test examples, in percent."""
    share = percent / 100
    return 200 * math.sqrt(share * (1 - share) / examples)


def _measured(percent: float, examples: int) -> Reported:
    return Reported(percent, tolerance=tolerance(percent, examples))


def _quoted(row: str, column: str, percent: float) -> Trial:
    return Trial(row, column, reported=Reported(percent, quoted=True), missing=QUOTED)


def _refreshed(
    task: str, model: str, options: dict[str, Any], optimiser: tuple[str, dict[str, Any]], **settings: Any
) -> Config:
    """Sections A.2.3 and A.2.4, with memory refreshing."""
    common = {"iterations": ITERATIONS, "clip": "global", "clip_limit": 50.0, "refresh_probability": PROBABILITY}
    logged = {"log_every": 2000, "evaluate_every": 15_000, "checkpoint_every": 5000}
    return config(task, (model, options), optimiser, **common, **logged, **settings)


def table1() -> Experiment:
    """Table 1: test accuracy on the Nth farthest; batches of 1,600, Adam, an output MLP of four layers."""
    task = "nth farthest"
    dam = {"hidden_size": 1024, "slots": 16, "width": 128, "reads": 4, "blocks": 6, "output_layers": (256,) * 4}
    cores = {"slots": 8, "width": 192, "heads": 6, "output_layers": (256,) * 4}
    models = {
        "RMC-MR p=0.3": ("rmc", cores, 94.0, None, (HEAD,)),
        "DARMC4-MR p=0.3": ("darmc", cores | {"blocks": 4}, 98.2, None, (RELATIONAL, HEAD)),
        "DAM6-MR p=0.3": ("dam", dam, 97.8, 12_600_000, (EQUATIONS, CLOSED)),
    }
    size = {"batch_size": 1600, "evaluation_batch_size": 1600, "evaluation_batches": 2}
    trials = [_quoted(row, task, percent) for row, percent in (("DNC", 25), ("RMC", 91), ("TPR", 13), ("STM", 98))]
    trials += [
        Trial(
            row,
            task,
            _refreshed("nth-farthest/dam", model, options, ("adam", {"lr": 1e-4}), **size),
            reported=_measured(percent, 3200),
            parameters=count,
            deviations=deviations,
        )
        for row, (model, options, percent, count, deviations) in models.items()
    ]
    claims = tuple(
        Claim(f"{row} is more accurate than RMC-MR.", f"{row} p=0.3 | {task}", f"RMC-MR p=0.3 | {task}")
        for row in ("DARMC4-MR", "DAM6-MR")
    )
    return Experiment(
        "dam/table1",
        "Nth farthest",
        "dam",
        Measure("test accuracy", tested("accuracy", times=100), "%"),
        tuple(trials),
        claims=claims,
        curve="validation:accuracy",
        notes=(
            "The paper calls 1e-4 the initial learning rate and names no schedule; the rate stays.",
            "The tolerance is two standard errors of a share of 3,200 test examples; the paper has no spread.",
        ),
    )


def _hulls_right(points: int) -> Measure:
    return Measure(f"whole hulls right, N={points}", extra(f"hulls right, N={points}", 100), "%")


def _labels_right(points: int) -> Measure:
    return Measure(f"labels right, N={points}", extra(f"labels right, N={points}", 100), "%")


TESTED_POINTS = (5, 10)
TEST_BATCHES, TEST_BATCH = 100, 100
"""10,000 instances of each size, as many as in the public test files."""


def hull_accuracy(directory: RunDirectory) -> dict[str, float]:
    """Accuracy of a trained model on sets of 5 and of 10 points: hulls that are right as a whole, and labels."""
    run, _, model = load_run(directory)
    device = device_named(run.settings.device)
    batches = run.settings.test_batches or TEST_BATCHES
    numbers = {}
    for points in TESTED_POINTS:
        sized = tasks.make(run.task.name, **{**run.task.options, "min_points": points, "max_points": points})
        found = evaluate(model.to(device), sized, "test", batch_size=TEST_BATCH, batches=batches, device=device).scores
        numbers[f"hulls right, N={points}"] = found["sequence_accuracy"]
        numbers[f"labels right, N={points}"] = found["position_accuracy"]
    return numbers


HULLS_QUOTED = {
    "LSTM": (89.15, 82.24),
    "ALSTM": (89.92, 85.22),
    "DNC": (89.42, 79.47),
    "RMC": (93.72, 81.23),
    "STM": (96.85, 91.88),
}


def table2() -> Experiment:
    """Table 2: test accuracy on convex hulls of 5 and of 10 points, of models trained on 5 to 20 points."""
    dam = {"hidden_size": 256, "slots": 20, "width": 64, "reads": 4, "output_layers": (256, 256)}
    cores = {"slots": 8, "width": 256, "heads": 8, "output_layers": (256, 256), "blocks": 8}
    models = {
        "DAM6-MR p=0.3": ("dam", dam | {"blocks": 6}, (95.6, 89.8), 1_500_000, (EQUATIONS, CLOSED)),
        "DAM8-MR p=0.3": ("dam", dam | {"blocks": 8}, (95.4, 90.5), 1_700_000, (EQUATIONS, CLOSED)),
        "DARMC8-MR p=0.3": ("darmc", cores, (97.2, 92.3), None, (RELATIONAL, HEAD)),
    }
    size = {"batch_size": 128, "evaluation_batch_size": 128, "evaluation_batches": 4}
    trials = [
        _quoted(row, f"N={points}", percent)
        for row, percents in HULLS_QUOTED.items()
        for points, percent in zip(TESTED_POINTS, percents, strict=True)
    ]
    for row, (model, options, percents, count, deviations) in models.items():
        trial = _refreshed("convex-hull/dam", model, options, ALGORITHMIC, **size)
        trials += [
            Trial(
                row,
                f"N={points}",
                trial,
                reported=_measured(percent, TEST_BATCHES * TEST_BATCH),
                parameters=count,
                deviations=deviations,
                measure=_hulls_right(points),
            )
            for points, percent in zip(TESTED_POINTS, percents, strict=True)
        ]
    claims = tuple(
        Claim(
            f"DARMC8-MR is more accurate than {other} on N={points}.",
            f"DARMC8-MR p=0.3 | N={points}",
            f"{other} p=0.3 | N={points}",
        )
        for points in TESTED_POINTS
        for other in ("DAM6-MR", "DAM8-MR")
    )
    return Experiment(
        "dam/table2",
        "Convex hulls",
        "dam",
        _hulls_right(5),
        tuple(trials),
        claims=claims,
        measures=tuple(map(_labels_right, TESTED_POINTS)),
        curve="validation:sequence_accuracy",
        notes=(
            "Points are drawn anew instead of read from the public files, which have the same distribution.",
            "Accuracy is the share of hulls that are right with their end; the metric of the quoted rows is not known.",
            "One run is tested on both sizes, so the rows of N=5 and N=10 are of the same runs.",
            "The tolerance is two standard errors of a share of 10,000 test instances; the paper has no spread.",
            RMSPROP,
        ),
        inspect=hull_accuracy,
    )


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"dam/table1": table1, "dam/table2": table2}
