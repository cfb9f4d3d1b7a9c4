"""Two models side by side: how long each takes, turn by turn in one process, so that both meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from torchmann.training import Choice, Config
from torchmann.training.evaluate import evaluate
from torchmann.training.run import training_of

LEAST, SECONDS = 9, 5.0
"""Turns at least, and for how long there are more; the medians count."""


def otherwise(config: Config, **options: Any) -> Config:
    """The same configuration, with these keywords of the model."""
    return replace(config, model=Choice(config.model.name, {**config.model.options, **options}))


def training_ratio(config: Config, other: Config) -> float:
    """How many times as long as a training step of `config` one of `other` takes.

    Both begin at their initial weights: the time of a step does not depend on what was learnt.
    """
    return _ratio(_training_step(config), _training_step(other))


def inference_ratio(config: Config, other: Config) -> float:
    """How many times as long as `config` the model of `other` takes to answer a test batch."""
    return _ratio(_answer(config), _answer(other))


def _training_step(config: Config) -> Callable[[], object]:
    training = training_of(config)
    training.start()
    return training.step


def _answer(config: Config) -> Callable[[], object]:
    training, settings = training_of(config), config.settings
    sizes: dict[str, Any] = {"batch_size": settings.batch_size, "batches": 1, "device": training.device}
    return lambda: evaluate(training.model, training.task, "test", **sizes)


def _ratio(work: Callable[[], object], other: Callable[[], object]) -> float:
    work(), other()  # caches and kernels are made
    times: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - began < SECONDS:
        times.append((_seconds(work), _seconds(other)))
    first, second = (median(each) for each in zip(*times, strict=True))
    return second / first


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
