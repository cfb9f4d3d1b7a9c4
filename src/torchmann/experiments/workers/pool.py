"""Pool: jobs on the processes of this machine, on a Ray cluster or on Slurm, behind one function."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.experiments.workers.job import Ended, Job
from torchmann.experiments.workers.local import LocalWorkers
from torchmann.experiments.workers.ray import RayWorkers
from torchmann.experiments.workers.slurm import SlurmWorkers
from torchmann.training.signals import interruptible

Backend = Literal["local", "ray", "slurm"]

EXTRAS = {"ray": "ray", "slurm": "submitit"}
"""The package that a backend needs; the extra has the name of the backend."""

LOOK_EVERY = 0.5
"""Seconds after which Ctrl-C is seen at the latest."""


class Workers(Protocol):
    """What a backend is: it takes jobs and tells which have ended."""

    def start(self, job: Job) -> None:
        """Begin a job."""

    def ended(self, seconds: float) -> list[Ended]:
        """The jobs that have ended, after `seconds` at most."""

    def stop(self) -> None:
        """Ask the jobs under way to end; they still come out of `ended`."""

    def close(self) -> None:
        """End whatever is left."""


class Request:
    """Whether the pool was asked to end."""

    made = False

    def interrupt(self) -> None:
        """Make the request."""
        self.made = True


def run_jobs(
    jobs: Iterable[Job],
    backend: str = "local",
    *,
    workers: int = 1,
    threads: int = 1,
    folder: str | Path = "slurm",
    options: Mapping[str, Any] | None = None,
) -> Iterator[Ended]:
    """Do jobs in other processes, and tell of each as it ends.

    A job that fails, or whose process is killed, is told of with its error; the others go on. After Ctrl-C or SIGTERM
    no job is begun; those under way are asked to end and told of, then comes the KeyboardInterrupt. A second Ctrl-C
    does not wait for them.

    Args:
        jobs: begun in this order.
        backend: ``"local"``, ``"ray"`` or ``"slurm"``.
        workers: how many jobs are begun or queued at a time.
        threads: CPU threads of each.
        folder: for the files of Slurm's jobs; the other backends do not use it.
        options: of each job, in the words of Ray or submitit: memory, GPUs, a partition, hours.

    Raises:
        OptionError: an unknown backend, one whose package is not installed, or options that it refuses.
        KeyboardInterrupt: after the last job under way, if the pool was asked to end.
    """
    require_positive(workers=workers, threads=threads)
    require_backend(backend, options)
    waiting, running, request, stopped = deque(jobs), 0, Request(), False
    with closing(_workers(backend, threads, Path(folder), options or {})) as pool, interruptible(request):
        while running or (waiting and not request.made):
            while waiting and running < workers and not request.made:
                pool.start(waiting.popleft())
                running += 1
            for ended in pool.ended(LOOK_EVERY):
                running -= 1
                yield ended
            if request.made and not stopped:
                stopped = True
                pool.stop()
    if request.made:
        raise KeyboardInterrupt


def require_backend(backend: str, options: Mapping[str, Any] | None = None) -> None:
    """Raise `OptionError` unless there is such a backend, its package is installed, and it can have options."""
    if backend not in get_args(Backend):
        raise unknown_name("backend", backend, get_args(Backend))
    package = EXTRAS.get(backend)
    if package is not None and find_spec(package) is None:
        raise OptionError(
            f"--backend {backend} needs the package {package}: pip install 'torchmann[{backend}]', "
            "or take --backend local."
        )
    if backend == "local" and options:
        raise OptionError(f"--backend local takes no options, got {', '.join(options)}: leave --job out.")


def _workers(backend: str, threads: int, folder: Path, options: Mapping[str, Any]) -> Workers:
    if backend == "ray":
        return RayWorkers(threads, options)
    if backend == "slurm":
        return SlurmWorkers(threads, folder, options)
    return LocalWorkers(threads)
