"""A small experiment that trains in a moment, and records made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import average, tested
from torchmann.experiments.record import Record
from torchmann.training import Config

ACCURACY = Measure("bit accuracy", tested("bit_accuracy", times=100), "%")


def copy_config(model: str = "rnn", **settings: Any) -> Config:
    """Copy of one or two vectors by a small model."""
    sizes: dict[str, Any] = {"hidden_size": 8} | ({"slots": 4, "width": 4} if model == "dnc" else {})
    common = {"iterations": 6, "batch_size": 4, "log_every": 2, "evaluate_every": 3, "checkpoint_every": 2}
    task = ("copy", {"bits": 3, "min_length": 1, "max_length": 2})
    evaluated = {"evaluation_batches": 1, "evaluation_batch_size": 8}
    return config(task, (model, sizes), ("adam", {"lr": 1e-2}), **common | evaluated | settings)


def experiment(**changes: Any) -> Experiment:
    """Two models that are trained and a row that is quoted."""
    trials = (
        Trial("RNN", "copy", copy_config("rnn"), Reported(50.0, tolerance=60.0), parameters=139),
        Trial("LSTM", "copy", copy_config("lstm"), deviations=("The LSTM is small.",)),
        Trial("other", "copy", reported=Reported(99.0, quoted=True), missing="quoted by the paper"),
    )
    claims = (Claim("The LSTM is better.", "LSTM | copy", "RNN | copy"),)
    loss = Measure("mean loss", average("train:loss"), "nats", "lower", 3)
    values: dict[str, Any] = {"seeds": 3, "claims": claims, "measures": (loss,)} | changes
    return Experiment("tiny/table1", "Copy with small models", "dnc", ACCURACY, trials, **values)


def record(of: Trial, seed: int = 0, accuracy: float = 0.5, **changes: Any) -> Record:
    """A record of a trial as if it had been trained."""
    assert of.config is not None
    stored: Mapping[str, Any] = of.config.to_dict()
    values: dict[str, Any] = {
        "experiment": "tiny/table1",
        "trial": of.key,
        "seed": seed,
        "scale": "full",
        "config": stored,
        "stopped": "iterations",
        "iteration": 6,
        "seconds": 1.2,
        "together": 1,
        "scores": {"test": {"bit_accuracy": accuracy, "loss": 0.7}},
        "curves": {"train": {"iteration": [2, 4, 6], "loss": [0.9, None, 0.5]}},
        "parameters": 139,
        "peak_bytes": 300_000_000,
        "versions": {"torchmann": "0.1.0", "torch": "2.13.0", "python": "3.11.0", "platform": "Linux"},
        "device": "a processor, 1 thread",
        "date": "2026-11-21",
    }
    return Record(**values | changes)
