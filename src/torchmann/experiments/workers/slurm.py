"""Jobs on a Slurm cluster by submitit, which is an extra of the package."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchmann.core.errors import OptionError
from torchmann.experiments.workers.job import Ended, Job, interrupted, lost, perform

HOURS = 24
"""Of a job, unless ``timeout_min`` says otherwise. One that is not done by then is queued again, and goes on."""

LOOK_EVERY = 60.0
"""Seconds from one question to the cluster to the next; a job that has returned is seen at once, by its file."""


class SlurmWorkers:
    """Jobs as batch jobs.

    Args:
        threads: CPU threads of each job, and the processors that are asked for.
        folder: on a file system that all machines share, for scripts, results and the cluster's own logs.
        options: as ``submitit.AutoExecutor.update_parameters`` takes them, such as ``timeout_min``, ``mem_gb`` or
            ``slurm_partition``; and ``cluster``, which may be ``"local"`` to try it without a cluster.

    Raises:
        OptionError: there is no Slurm here, or an option that submitit does not know.
    """

    def __init__(self, threads: int, folder: Path, options: Mapping[str, Any]) -> None:
        import submitit  # only here, for the package may be absent

        asked: dict[str, Any] = {"timeout_min": 60 * HOURS, "cpus_per_task": threads, **options}
        cluster = asked.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster)
            self._executor.update_parameters(**asked)
        except (RuntimeError, ValueError, NameError, AssertionError) as error:
            raise OptionError(f"submitit refuses this: {' '.join(str(error).split())}") from error
        self._threads = threads
        self._busy: list[tuple[Any, Job]] = []
        self._looked = time.monotonic()
        self._stopping = False

    def start(self, job: Job) -> None:
        """Queue a job."""
        self._busy.append((self._executor.submit(Requeued(), job, self._threads), job))

    def ended(self, seconds: float) -> list[Ended]:
        """The jobs that have ended, after `seconds`."""
        time.sleep(seconds)
        look = self._stopping or time.monotonic() - self._looked > LOOK_EVERY
        if look:
            self._looked = time.monotonic()
        done = [(handle, job) for handle, job in self._busy if handle.done(force_check=look)]
        self._busy = [busy for busy in self._busy if busy not in done]
        return [self._received(handle, job) for handle, job in done]

    def stop(self) -> None:
        """Cancel the jobs: Slurm asks those under way to end, and takes the others out of the queue."""
        self._stopping = True
        self.close()

    def close(self) -> None:
        """Cancel what is left."""
        for handle, _ in self._busy:
            handle.cancel(check=False)

    def _received(self, handle: Any, job: Job) -> Ended:
        if handle.exception() is None:
            ended: Ended = handle.result()
            return ended._replace(job=job)
        how = f"batch job {handle.job_id} ended without a result (state {handle.state}; {handle.paths.stderr})"
        return interrupted(job) if self._stopping else lost(job, how)


class Requeued:
    """`perform` for submitit, which queues it again where the time of the batch job is over, or others come first."""

    def __call__(self, job: Job, threads: int) -> Ended:
        """Do the job."""
        return perform(job, threads)

    def checkpoint(self, job: Job, threads: int) -> Any:
        """The same call once more: the job finds what it has done so far."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job, threads)
