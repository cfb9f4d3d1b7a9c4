"""Jobs in processes of this machine. A process that is killed takes its own job with it, and no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from typing import NamedTuple

import torch

from torchmann.experiments.workers.job import Ended, Job, interrupted, lost, perform

GRACE = 10.0
"""Seconds in which a process that is told to end can write what it has."""

GPUS = "CUDA_VISIBLE_DEVICES"


class Worker(NamedTuple):
    """A process and the way to it; `number` is the lowest that no other worker has."""

    number: int
    process: BaseProcess
    connection: Connection


class LocalWorkers:
    """Spawned processes that do one job after another; a new one is made for each that was lost.

    Args:
        threads: CPU threads of each.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._idle: list[Worker] = []
        self._busy: dict[Connection, tuple[Worker, Job]] = {}
        self._stopping = False

    def start(self, job: Job) -> None:
        """Begin a job, in a new process if all are busy."""
        worker = self._idle.pop() if self._idle else self._new()
        self._busy[worker.connection] = worker, job
        with suppress(BrokenPipeError):  # killed while it was idle: `ended` will say so
            worker.connection.send(job)

    def ended(self, seconds: float) -> list[Ended]:
        """The jobs that have ended, after `seconds` at most."""
        return [self._received(connection) for connection in wait(list(self._busy), seconds)]  # type: ignore[arg-type]

    def stop(self) -> None:
        """Ask the jobs under way to end."""
        self._stopping = True
        for worker, _ in self._busy.values():
            worker.process.terminate()

    def close(self) -> None:
        """End all processes, with a little time for those that are at work."""
        self.stop()
        workers = [*self._idle, *(worker for worker, _ in self._busy.values())]
        for worker in workers:
            worker.connection.close()
        for worker in workers:
            worker.process.join(GRACE)
            worker.process.kill()
            worker.process.join()

    def _new(self) -> Worker:
        used = {worker.number for worker, _ in self._busy.values()}
        number = next(number for number in count() if number not in used)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, number, self._threads), daemon=True)
        process.start()
        theirs.close()  # only the process holds it now, so that its end is the end of the pipe
        return Worker(number, process, ours)

    def _received(self, connection: Connection) -> Ended:
        worker, job = self._busy.pop(connection)
        try:
            ended = connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            return interrupted(job) if self._stopping else lost(job, _how(worker.process.exitcode))
        self._idle.append(worker)
        return ended._replace(job=job)  # the caller's own, not its copy


def _how(exitcode: int | None) -> str:
    """How a process was lost."""
    if exitcode is None or exitcode >= 0:
        return f"its process ended with status {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"


def serve(connection: Connection, number: int, threads: int) -> None:
    """What a worker does: jobs as they come, until the other end is closed.

    Ctrl-C on a terminal reaches every process; here the pool decides what it means. Should the pool's process be
    killed, the job under way is asked to end, as by SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    gpus = visible_gpus()
    if len(gpus) > 1:  # before anything is computed on one; the workers take them in turn
        os.environ[GPUS] = gpus[number % len(gpus)]
    with suppress(EOFError, OSError):
        while True:
            connection.send(perform(connection.recv(), threads))


def visible_gpus() -> list[str]:
    """The names under which this process can see GPUs."""
    given = os.environ.get(GPUS)
    return [str(gpu) for gpu in range(torch.cuda.device_count())] if given is None else given.split(",")


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
