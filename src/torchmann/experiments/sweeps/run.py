"""Running a sweep: the runs that have not ended, on a pool."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from torchmann.experiments.sweeps.progress import sweep_progress
from torchmann.experiments.sweeps.results import result_of
from torchmann.experiments.sweeps.sweep import Run, Sweep
from torchmann.experiments.workers.job import Ended
from torchmann.experiments.workers.pool import run_jobs
from torchmann.training.progress import clock


def run_sweep(
    sweep: Sweep,
    backend: str = "local",
    *,
    workers: int = 1,
    options: Mapping[str, Any] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Train all runs of a sweep that have not ended, each from where it is; a line is shown for each that ends.

    Args:
        sweep: that was saved.
        backend: as `run_jobs` takes it, like the others.
        workers: runs at a time.
        options: of each job on Ray or Slurm.
        stream: where progress is shown; None is standard output.

    Raises:
        OptionError: as `run_jobs`.
        KeyboardInterrupt: after Ctrl-C, when the runs under way have been stopped.
    """
    runs = {run.name: run for run in sweep.runs()}
    left = [run for run in runs.values() if not run.ended]
    threads = {point.config.settings.threads for point in sweep.points}
    pool = run_jobs(
        [run.job() for run in left],
        backend,
        workers=workers,
        threads=max(1 if number == "auto" else number for number in threads),
        folder=sweep.path.resolve() / "slurm",
        options=options,
    )
    with sweep_progress(left, stream or sys.stdout) as progress:
        for ended in pool:
            run = runs[ended.job.name]
            progress.show(run, told(run, ended))


def told(run: Run, ended: Ended) -> str:
    """How a run ended, in a line."""
    if ended.error is not None:
        return f"{run.name}: {ended.error}"
    if not run.ended:
        return f"{run.name}: stopped after its last checkpoint was written."
    result = result_of(run)
    scores = {"held out": result.held_out, "test": result.test}
    words = [f"{split} {score:.4f}" for split, score in scores.items() if score is not None]
    return f"{run.name}: {result.metric.replace('_', ' ')} {', '.join(words) or '-'}, {clock(result.seconds)}"
