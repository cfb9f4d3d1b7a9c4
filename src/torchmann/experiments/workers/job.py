"""Jobs: what a pool runs in other processes, and how each of them ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch

AGAIN = "give the same command again to go on with it"
"""How every job that was lost or interrupted goes on: its function must find what it has done so far."""


class Job(NamedTuple):
    """A call to be made in another process, on another machine perhaps.

    Attributes:
        name: for people.
        function: of a module, not of another function, so that the other process can import it. Called again after an
            interruption, it must go on from where it was.
        arguments: of the call; they are pickled.
        log: file to which what the job prints is appended; None leaves it where the backend has it.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    log: Path | None = None


class Ended(NamedTuple):
    """How a job ended.

    Attributes:
        job: that ended.
        result: what its function returned.
        error: why there is no result, in a sentence or two; None if there is one.
    """

    job: Job
    result: Any = None
    error: str | None = None


def perform(job: Job, threads: int) -> Ended:
    """Do a job in this process, on so many CPU threads; an exception becomes the error, and goes into the log."""
    torch.set_num_threads(threads)
    with _printing_to(job.log):
        try:
            return Ended(job, result=job.function(*job.arguments))
        except KeyboardInterrupt:
            return interrupted(job)
        except Exception as error:
            if job.log is not None:
                traceback.print_exc()
            return Ended(job, error=_told(error))


def interrupted(job: Job) -> Ended:
    """The end of a job that was asked to end and had nothing to return."""
    return Ended(job, error=f"it was interrupted: {AGAIN}.")


def lost(job: Job, how: str) -> Ended:
    """The end of a job whose process was lost."""
    return Ended(job, error=f"{how}: {AGAIN}, with fewer workers if memory was short.")


@contextmanager
def _printing_to(log: Path | None) -> Iterator[None]:
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        yield


def _told(error: Exception) -> str:
    """An exception in one line; the name of its class where it is none of those that explain themselves."""
    text = " ".join(str(error).split())
    explained = isinstance(error, OSError | ArithmeticError) or type(error).__module__.startswith("torchmann.")
    return text if text and explained else f"{type(error).__name__}: {text}"
