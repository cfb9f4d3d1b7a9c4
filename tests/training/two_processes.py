"""What `test_processes.py` runs under torchrun: the runs of `CONFIGS` one by one, with half the batch each."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

from tests.training.tiny import SIZES, tiny_config

from torchmann.training import Choice, Config, train_run

WHOLE = 6
"""Rows of a batch of the one process."""

STREAM = Choice("markov", {"symbols": 4, "steps": 5, "length": 200})


def config(model: str, options: dict[str, object], task: Choice | None = None, **settings: object) -> Config:
    every = {"log_every": 2, "evaluate_every": 2, "checkpoint_every": 3, "keep_every": 3}
    made = tiny_config(model, batch_size=WHOLE, iterations=5, **every, **settings)
    adam = Choice("adam", {"lr": 0.01, "eps": 1e-2})  # the usual eps makes much of a gradient that is only rounding
    task = task or Choice("copy", {"bits": 2, "max_length": 5})
    return replace(made, model=Choice(model, options), task=task, optimiser=adam)


CONFIGS = {
    "noise": config("armin", {"hidden_size": 8, "slots": 4, "zoneout_keep": 0.9}, max_seconds=1000.0),
    "refreshing": config("dnc", SIZES["dnc"], refresh_probability=0.4, refresh_gamma="batch", clip_limit=0.1),
    "chunks": config("dnc", {**SIZES["dnc"], "writing": "cached:2"}, truncate=3, curriculum="length=uniform"),
    "stream": config("ntm", SIZES["ntm"], STREAM),
}


if __name__ == "__main__":
    for name, whole in CONFIGS.items():
        shared = replace(whole, settings=replace(whole.settings, batch_size=WHOLE // 2))
        train_run(shared, Path(sys.argv[1]) / name, stream=io.StringIO())
