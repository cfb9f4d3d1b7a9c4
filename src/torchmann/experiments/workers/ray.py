"""Jobs on a Ray cluster, which is an extra of the package."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from torchmann.core.errors import OptionError
from torchmann.experiments.workers.job import Ended, Job, interrupted, lost, perform


class RayWorkers:
    """Jobs as Ray tasks, on the cluster of ``RAY_ADDRESS`` or of this machine; where there is none, one is started.

    Args:
        threads: CPU threads of each job, which are the processors that Ray sets aside for it.
        options: of each task, such as ``num_gpus``, as ``ray.remote`` takes them.

    Raises:
        OptionError: an option that Ray does not know, or no cluster where there should be one.
    """

    def __init__(self, threads: int, options: Mapping[str, Any]) -> None:
        import ray  # only here, for the package may be absent

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._task = ray.remote(**{"num_cpus": threads, "max_retries": 0, **options})(perform)
            self._started = not ray.is_initialized()
            if self._started:
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except (ValueError, TypeError, ConnectionError) as error:
            raise OptionError(f"Ray refuses this: {' '.join(str(error).split())}") from error
        self._ray, self._threads = ray, threads
        self._busy: dict[Any, Job] = {}
        self._stopping = False

    def start(self, job: Job) -> None:
        """Hand a job to the cluster."""
        self._busy[self._task.remote(job, self._threads)] = job

    def ended(self, seconds: float) -> list[Ended]:
        """The jobs that have ended, after `seconds` at most."""
        ready, _ = self._ray.wait(list(self._busy), timeout=seconds)
        return [self._received(reference) for reference in ready]

    def stop(self) -> None:
        """Ask the jobs under way to end, as by Ctrl-C."""
        self._stopping = True
        for reference in self._busy:
            self._ray.cancel(reference)

    def close(self) -> None:
        """End what is left; a cluster that was started here ends with it."""
        for reference in self._busy:
            self._ray.cancel(reference, force=True)
        if self._started:
            self._ray.shutdown()

    def _received(self, reference: Any) -> Ended:
        job = self._busy.pop(reference)
        try:
            return self._ray.get(reference)._replace(job=job)
        except self._ray.exceptions.RayError as error:
            return interrupted(job) if self._stopping else lost(job, f"Ray lost it ({type(error).__name__})")
