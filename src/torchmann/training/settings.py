"""How a run is trained: one field for each plain flag of ``torchmann train``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from torchmann.core.errors import OptionError, require_positive
from torchmann.training.clipping import Clipping


@dataclass(frozen=True)
class Settings:
    """How a run is trained.

    Args:
        batch_size: sequences of a training step.
        iterations: training steps at most.
        solved_at: stop as soon as the task's metric on validation sequences is at least this (0.99 is 99 %);
            None never stops early.
        max_seconds: stop after this time in seconds; None has no limit.
        clip: what is limited before a step: every element of the gradients ("value"), the norm of each tensor's
            ("tensor"), the norm of all together ("global"), or nothing ("none").
        clip_limit: the largest element or norm that is left.
        refresh_probability: memory refreshing: probability of each input step to be reproduced; 0 is without.
        refresh_gamma: what weighs the answers against the reproduced steps: their ratio in each "sequence" or in the
            whole "batch".
        refresh_floor: let that weight be no less than one.
        log_every: iterations from one line of metrics.jsonl to the next.
        evaluate_every: iterations from one evaluation on validation sequences to the next.
        evaluation_batches: held-out batches of an evaluation; the last test takes all of a finite test set.
        evaluation_batch_size: sequences of such a batch.
        seed: of the initial weights, the batches and the noise.
        threads: CPU threads; models of the usual size run fastest on 1, and only on 1 does a run repeat exactly.
        device: "cpu" or "cuda".

    Raises:
        OptionError: a value outside its range.
    """

    batch_size: int = 16
    iterations: int = 10_000
    solved_at: float | None = None
    max_seconds: float | None = None
    clip: Clipping = "global"
    clip_limit: float = 10.0
    refresh_probability: float = 0.0
    refresh_gamma: Literal["sequence", "batch"] = "sequence"
    refresh_floor: bool = True
    log_every: int = 20
    evaluate_every: int = 200
    evaluation_batches: int = 4
    evaluation_batch_size: int = 100
    seed: int = 0
    threads: int = 1
    device: Literal["cpu", "cuda"] = "cpu"

    def __post_init__(self) -> None:
        require_positive(
            batch_size=self.batch_size,
            iterations=self.iterations,
            log_every=self.log_every,
            evaluate_every=self.evaluate_every,
            evaluation_batches=self.evaluation_batches,
            evaluation_batch_size=self.evaluation_batch_size,
            threads=self.threads,
        )
        if not self.clip_limit > 0:
            raise OptionError(f"clip_limit must be above 0, got {self.clip_limit}; clip='none' turns clipping off.")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise OptionError(f"max_seconds must be above 0, or None for no limit, got {self.max_seconds}.")


def device_named(name: str) -> torch.device:
    """The device of that name.

    Raises:
        OptionError: it is "cuda" and this machine or this build of torch has none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("device 'cuda' is not usable here: no GPU, no driver or a CPU build of torch; use 'cpu'.")
    return torch.device(name)
