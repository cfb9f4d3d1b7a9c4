"""The classification experiments of "Learning to remember more with less memorization": digits and documents."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import tested
from torchmann.experiments.papers.uw import ATTENTION, CLIPPED, COSINE, dnc
from torchmann.memories import optimal_interval
from torchmann.training import Config

RMSPROP = ("rmsprop", {"lr": 1e-4, "alpha": 0.9, "momentum": 0.0, "eps": 1e-10})
SILENT = (
    "The text is silent on batch, clipping and width: they are those of the synthetic tasks. So it is on the decay and "
    "epsilon of RMSProp: here 0.9 and 1e-10, outside the root, where the library of the study has it inside."
)
OF_ROW: dict[str, tuple[str, ...]] = {"DNC": (COSINE,), "DNC+UW": (COSINE,), "DNC+CUW": (COSINE, ATTENTION)}
"""The rows that are run, and where they differ from the paper."""

ACCURACY = Measure("test accuracy", tested("accuracy", times=100), "%")

PIXEL_ROWS = {
    "iRNN": (97.0, 82.0),
    "uRNN": (95.1, 91.4),
    "Dilated-RNN": (95.5, 96.1),
    "r-LSTM": (98.4, 95.2),
    "Dilated-GRU": (99.2, 94.6),
    "DNC": (98.1, 94.0),
    "DNC+UW": (98.6, 95.6),
    "DNC+CUW": (99.1, 96.3),
}
PIXELS, IMAGES, EPOCHS = 784, 50_000, 100
SLOTS = (15, 30, 60)
"""Of the dense DNC, of which the paper gives the best."""


def _two_deviations(percent: float, examples: int) -> float:
    """Twice the standard deviation of the difference of two accuracies, each on so many examples, in points."""
    share = percent / 100
    return round(200 * math.sqrt(2 * share * (1 - share) / examples), 2)


def _pixels(task: str, **options: Any) -> Config:
    run = {"batch_size": 64, "iterations": EPOCHS * IMAGES // 64, "checkpoint_every": 3_900, **CLIPPED}
    judged = {"log_every": 400, "evaluate_every": 3_900, "evaluation_batches": 100, "evaluation_batch_size": 100}
    return config(f"{task}/uw", dnc(controller="gru", **options), RMSPROP, **run, **judged)


def _on_pixels(row: str, column: str, value: float) -> list[Trial]:
    """The trials of a place of table 3."""
    interval = f"uniform:{optimal_interval(PIXELS, 15)}"
    models: dict[str, dict[str, dict[str, Any]]] = {
        "DNC": {f"DNC {slots} slots": {"slots": slots} for slots in SLOTS},
        "DNC+UW": {row: {"slots": 15, "writing": interval}},
        "DNC+CUW": {row: {"slots": 15, "writing": "cached:10", "engine": "compiled"}},
    }
    return [
        Trial(
            name,
            column,
            _pixels(column.lower(), **options),
            Reported(value, tolerance=_two_deviations(value, 10_000)),
            deviations=OF_ROW[row],
            note="the paper's number is the best of 15, 30 and 60 slots" if row == "DNC" else "",
        )
        for name, options in models[row].items()
    ]


def table3() -> Experiment:
    """Table 3: accuracy on MNIST pixel by pixel, in order and permuted."""
    trials: list[Trial] = []
    for row, values in PIXEL_ROWS.items():
        for column, value in zip(("MNIST", "pMNIST"), values, strict=True):
            trials += _on_pixels(row, column, value) if row in OF_ROW else [_quoted(row, column, value)]
    dense = [f"DNC {slots} slots" for slots in SLOTS]
    pairs = [*((writer, other) for writer in ("DNC+UW", "DNC+CUW") for other in dense), ("DNC+CUW", "DNC+UW")]
    return Experiment(
        "uw/table3",
        "MNIST pixel by pixel",
        "uw",
        ACCURACY,
        tuple(trials),
        claims=tuple(
            Claim(f"{one} does better than {other} on {column}.", f"{one} | {column}", f"{other} | {column}")
            for column in ("MNIST", "pMNIST")
            for one, other in pairs
        ),
        curve="validation:accuracy",
        notes=(
            SILENT,
            "A hundred epochs are ours. The last weights are tested.",
            "The digit is named at the last pixel, where the released code adds a step of zeros.",
            "The order of pMNIST's pixels is not published.",
        ),
    )


def _quoted(row: str, column: str, value: float) -> Trial:
    return Trial(row, column, reported=Reported(value, quoted=True), missing="quoted by the paper")


class Documents(NamedTuple):
    """A data set of table 4.

    Attributes:
        task: its name.
        train, test: documents of either file.
        length: tokens of a document on average.
    """

    task: str
    train: int
    test: int
    length: int


DOCUMENTS = {
    "AG": Documents("ag-news", 120_000, 7_600, 44),
    "IMDb": Documents("imdb", 25_000, 25_000, 264),
    "Yelp P.": Documents("yelp-polarity", 560_000, 38_000, 156),
    "Yelp F.": Documents("yelp-full", 650_000, 50_000, 158),
    "DBP": Documents("dbpedia", 560_000, 70_000, 55),
    "Yah. A.": Documents("yahoo-answers", 1_400_000, 60_000, 112),
}
TABLE4: dict[str, tuple[float | None, ...]] = {
    "VDCNN": (91.3, None, 95.7, 64.7, 98.7, 73.4),
    "D-LSTM": (None, None, 92.6, 59.6, 98.7, 73.7),
    "Standard LSTM": (93.5, 91.1, None, None, None, None),
    "Skim-LSTM": (93.6, 91.2, None, None, None, None),
    "Region Embedding": (92.8, None, 96.4, 64.9, 98.9, 73.7),
    "DNC+UW": (93.7, 91.4, 96.4, 65.3, 99.0, 74.2),
    "DNC+CUW": (93.9, 91.3, 96.4, 65.6, 99.0, 74.3),
}
CACHE = 10
"""Of CUW on documents: the slots are as many as make the uniform interval no longer, a compression of 10 to 12 %."""


def _documents(data: Documents, row: str) -> Config:
    """An evaluation after each epoch, and an end after five without a gain."""
    slots = -(-data.length // CACHE) - 1
    writing = {"DNC+UW": f"uniform:{optimal_interval(data.length, slots)}", "DNC+CUW": f"cached:{CACHE}"}[row]
    epoch = data.train * 9 // 10 // 64
    run = {"batch_size": 64, "iterations": EPOCHS * epoch, "patience": 5, "checkpoint_every": epoch // 4, **CLIPPED}
    batches = -(-data.train // 10 // 64)
    judged = {"log_every": epoch // 10, "evaluate_every": epoch, "evaluation_batches": batches}
    model = dnc(512, slots=slots, writing=writing)
    return config(f"{data.task}/uw", model, RMSPROP, **run, **judged, evaluation_batch_size=64)


def table4() -> Experiment:
    """Table 4: accuracy of document classification."""
    trials = []
    for row, values in TABLE4.items():
        for (column, data), value in zip(DOCUMENTS.items(), values, strict=True):
            if value is not None and row in OF_ROW:
                number = Reported(value, tolerance=_two_deviations(value, data.test))
                trials.append(Trial(row, column, _documents(data, row), number, deviations=OF_ROW[row]))
            elif value is not None:
                trials.append(_quoted(row, column, value))
    return Experiment(
        "uw/table4",
        "Document classification",
        "uw",
        ACCURACY,
        tuple(trials),
        claims=tuple(
            Claim(f"DNC+CUW does better than DNC+UW on {column}.", f"DNC+CUW | {column}", f"DNC+UW | {column}")
            for column in ("AG", "Yelp F.", "Yah. A.")
        ),
        curve="validation:accuracy",
        notes=(
            SILENT,
            "A hundred epochs at most, and a tenth of the training documents for validation, are ours.",
            "Slots follow from the mean length of the documents, counted for AG and IMDb and approximate for the "
            "others, so that CUW's interval of 10 is about the uniform one.",
            "The embedding starts from GloVe's vectors and is trained; which of them the paper took is not known.",
        ),
    )


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"uw/table3": table3, "uw/table4": table4}
