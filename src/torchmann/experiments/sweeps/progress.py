"""What a sweep shows while it runs: the runs under way as a live table on a terminal, a line for each end elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from torchmann.core.errors import DataError
from torchmann.experiments.sweeps.sweep import Run
from torchmann.training import Measurement, RunDirectory
from torchmann.training.progress import clock
from torchmann.training.run_directory import METRICS


class SweepProgress(Protocol):
    """Follows a sweep while it is open."""

    def __enter__(self) -> SweepProgress: ...

    def __exit__(self, *exception: Any) -> None: ...

    def show(self, run: Run, line: str) -> None:
        """Take notice of a run that has ended, which is told in `line`."""


def sweep_progress(runs: Sequence[Run], stream: TextIO) -> SweepProgress:
    """The way to show these runs that suits `stream`."""
    return LiveRuns(runs, stream) if stream.isatty() else EndedLines(runs, stream)


class EndedLines:
    """A line for each run that ends, for a file or a pipe."""

    def __init__(self, runs: Sequence[Run], stream: TextIO) -> None:
        self.total, self.ended, self.stream = len(runs), 0, stream

    def __enter__(self) -> EndedLines:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def show(self, run: Run, line: str) -> None:
        """Print the line."""
        self.ended += 1
        print(f"{self.ended}/{self.total}  {line}", file=self.stream, flush=True)


class LiveRuns:
    """The runs under way, read from their directories once a second; above them a line for each that has ended."""

    def __init__(self, runs: Sequence[Run], stream: TextIO) -> None:
        self.total, self.left = len(runs), {run.path: run for run in runs}
        self._started, self._clock = time.time(), time.monotonic()
        self._live = Live(console=Console(file=stream), get_renderable=self.render, refresh_per_second=1)

    def __enter__(self) -> LiveRuns:
        self._live.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.stop()

    def show(self, run: Run, line: str) -> None:
        """Print the line, and leave the run out of the table."""
        self.left = {path: other for path, other in self.left.items() if path != run.path}
        self._live.console.print(f"{self.total - len(self.left)}/{self.total}  {line}", markup=False, highlight=False)

    def render(self) -> Table:
        """The table as it is now."""
        ended, passed = self.total - len(self.left), clock(time.monotonic() - self._clock)
        caption = f"{ended} of {self.total} runs ended, {passed}"
        table = Table(caption=caption, caption_justify="left", box=None, pad_edge=False)
        for name in ("run", "iteration", "loss", "held-out loss"):
            table.add_column(name, justify="left" if name == "run" else "right")
        for run in self.left.values():
            if self._under_way(run.path):
                table.add_row(run.name, *_words(run))
        return table

    def _under_way(self, path: Path) -> bool:
        """Whether something was measured since this sweep began."""
        with suppress(OSError):
            return (path / METRICS).stat().st_mtime >= self._started
        return False


def _words(run: Run) -> list[str]:
    """Iteration, loss and held-out loss of a run; a dash for what is not known."""
    latest: dict[str, Measurement] = {}
    with suppress(DataError):  # it is being written to
        latest = {line.split: line for line in RunDirectory(run.path).measurements()}
    iteration = max((line.iteration for line in latest.values()), default=0)
    losses = [f"{latest[split].loss:.4g}" if split in latest else "-" for split in ("train", "validation")]
    return [f"{iteration}/{run.config.settings.iterations}", *losses]
