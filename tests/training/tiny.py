"""Runs that take a fraction of a second."""

from __future__ import annotations

from typing import Any

from torchmann.training import Choice, Config, Settings

MEMORY = {"hidden_size": 8, "slots": 4, "width": 4}
SIZES = {
    "dnc": MEMORY,
    "ntm": MEMORY,
    "dam": MEMORY,
    "armin": {"hidden_size": 8, "slots": 4},
    "rmc": {"slots": 2, "width": 4, "heads": 2},
}


def tiny_settings(**options: Any) -> Settings:
    """Four iterations with an evaluation after every second one."""
    sizes = {"batch_size": 4, "evaluation_batches": 2, "evaluation_batch_size": 5}
    return Settings(**{"iterations": 4, "log_every": 1, "evaluate_every": 2, **sizes, **options})


def tiny_config(model: str = "dnc", optimiser: str = "adam", **options: Any) -> Config:
    """A small model on short sequences of two bits; `options` are settings."""
    task = Choice("copy", {"bits": 2, "max_length": 2})
    body = Choice(model, SIZES.get(model, {"hidden_size": 8}))
    return Config(task, body, Choice(optimiser), tiny_settings(**options))
