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
        batch_size: sequences of a training step; with several processes, of each of them.
        iterations: training steps at most.
        solved_at: stop as soon as the task's metric on validation sequences is at least this (0.99 is 99 %);
            None never stops early.
        patience: stop after this many evaluations on validation sequences in a row without a better one, and put the
            best weights back at the end; None keeps the last weights.
        max_seconds: stop after this time in seconds; None has no limit.
        truncate: truncated back-propagation: cut long sequences into chunks of this many steps; the state is carried
            from chunk to chunk, the gradient is not. None goes back to the first step.
        clip: what is limited before a step: every element of the gradients ("value"), the norm of each tensor's
            ("tensor"), the norm of all together ("global"), or nothing ("none").
        clip_limit: the largest element or norm that is left.
        refresh_probability: memory refreshing: probability of each input step to be reproduced; 0 is without.
        refresh_gamma: what weighs the answers against the reproduced steps: their ratio in each "sequence" or in the
            whole "batch".
        refresh_floor: let that weight be no less than one.
        penalty: what the penalties that a cell accumulates are multiplied by in the loss.
        anneal: schedules of the model's annealed numbers, "NAME=SCHEDULE" each, such as
            "temperature=linear:1:0.1:20000"; see `torchmann.training.annealing`.
        learning_rate: schedule of the optimiser's learning rate, such as "linear:1e-3:1e-5:20000", in place of the one
            rate that the optimiser has otherwise.
        curriculum: which sizes of the task come when, such as "length=growing:1:500"; see
            `torchmann.training.curriculum`. None trains on the task as it is.
        log_every: iterations from one line of metrics.jsonl to the next.
        evaluate_every: iterations from one evaluation on validation sequences to the next.
        evaluation_batches: held-out batches of an evaluation; the last test takes all of a finite test set.
        test_batches: batches of the last test at most; None: all of a finite test set, else `evaluation_batches`.
        evaluation_batch_size: sequences of such a batch.
        checkpoint_every: iterations from one checkpoint to the next.
        keep_every: keep the checkpoints of the multiples of this iteration for good, besides the two newest and the
            best one; None keeps no others.
        seed: of the initial weights, the batches and the noise.
        threads: CPU threads; models of the usual size run fastest on 1, and only on 1 does a run repeat exactly.
            "auto" tries what is fastest here before the run begins, says so, and keeps the number in the configuration.
        device: "cpu" or "cuda".
        capture: on "cuda" run each iteration as one CUDA graph, once its shape of batch has come a few times; see
            `torchmann.training.captured` for what cannot.
        tensorboard: log the measurements for TensorBoard as well, which is the extra torchmann[tensorboard].

    Raises:
        OptionError: a value outside its range.
    """

    batch_size: int = 16
    iterations: int = 10_000
    solved_at: float | None = None
    patience: int | None = None
    max_seconds: float | None = None
    truncate: int | None = None
    clip: Clipping = "global"
    clip_limit: float = 10.0
    refresh_probability: float = 0.0
    refresh_gamma: Literal["sequence", "batch"] = "sequence"
    refresh_floor: bool = True
    penalty: float = 1.0
    anneal: tuple[str, ...] = ()
    learning_rate: str | None = None
    curriculum: str | None = None
    log_every: int = 20
    evaluate_every: int = 200
    evaluation_batches: int = 4
    test_batches: int | None = None
    evaluation_batch_size: int = 100
    checkpoint_every: int = 200
    keep_every: int | None = None
    seed: int = 0
    threads: int | Literal["auto"] = 1
    device: Literal["cpu", "cuda"] = "cpu"
    capture: bool = False
    tensorboard: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "anneal", tuple(self.anneal))  # a file has lists only
        require_positive(
            batch_size=self.batch_size,
            iterations=self.iterations,
            log_every=self.log_every,
            evaluate_every=self.evaluate_every,
            evaluation_batches=self.evaluation_batches,
            evaluation_batch_size=self.evaluation_batch_size,
            checkpoint_every=self.checkpoint_every,
            threads=1 if self.threads == "auto" else self.threads,
        )
        names = ("patience", "truncate", "keep_every", "test_batches")
        optional = {name: getattr(self, name) for name in names}
        require_positive(**{name: value for name, value in optional.items() if value is not None})
        if not self.clip_limit > 0:
            raise OptionError(f"clip_limit must be above 0, got {self.clip_limit}; clip='none' turns clipping off.")
        if not self.penalty >= 0:
            raise OptionError(f"penalty must be at least 0, got {self.penalty}.")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise OptionError(f"max_seconds must be above 0, or None for no limit, got {self.max_seconds}.")
        if self.capture and self.device != "cuda":
            raise OptionError(f"capture=True needs device='cuda', got {self.device!r}: change one of them.")
        if self.keep_every is not None and self.keep_every % self.checkpoint_every:
            raise OptionError(
                f"keep_every must be a multiple of checkpoint_every, {self.checkpoint_every}, got {self.keep_every}."
            )


def device_named(name: str) -> torch.device:
    """The device of that name.

    Raises:
        OptionError: it is "cuda" and this machine or this build of torch has none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("device 'cuda' is not usable here: no GPU, no driver or a CPU build of torch; use 'cpu'.")
    return torch.device(name)
