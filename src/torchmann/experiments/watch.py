"""What is shown while units train: a live table of all of them on a terminal, plain lines elsewhere.

How far a run is, is read from its directory, so that it does not matter which process trains it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from torchmann.experiments.estimate import spoken
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.record import Record
from torchmann.experiments.runner import Unit
from torchmann.training.run_directory import METRICS

LINES_SECONDS = 60.0
"""Between two lines, where there is no terminal."""

TAIL_BYTES = 4096
"""Of the metrics, that surely hold the last line."""


class Watch:
    """Follows units while it is open.

    Args:
        units: all that are to be trained.
        experiment: they belong to.
        stream: where it is shown.
    """

    def __init__(self, units: Sequence[Unit], experiment: Experiment, stream: TextIO) -> None:
        self.units, self.measure_of, self.stream = units, experiment.measure_of, stream
        self.ended: dict[str, str] = {}
        self.began = time.monotonic()
        self._done = Event()
        self._live = Live(console=Console(file=stream), get_renderable=self.render, refresh_per_second=1)
        self._thread = Thread(target=self._lines, daemon=True)

    def __enter__(self) -> Watch:
        if self.stream.isatty():
            self._live.start()
        else:
            self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.stream.isatty():
            self._live.stop()
        else:
            self._done.set()
            self._thread.join()

    def end(self, unit: Unit, found: Sequence[Record] | Exception) -> None:
        """Take notice of how a unit ended."""
        if isinstance(found, Exception):
            words = f"failed: {found}"
        elif not found:
            words = "stopped; the same command goes on"
        else:
            measure = self.measure_of(unit.trial)
            values = ", ".join(measure.show(measure.of(record)) for record in found)
            words = f"{measure.name} {values}"
        self.ended[unit.name] = words
        if not self.stream.isatty():
            print(f"{unit.name}: {words}", file=self.stream, flush=True)

    def render(self) -> Table:
        """The table as it is now."""
        table = Table(box=None, pad_edge=False)
        for name in ("", "iteration", "loss", ""):
            table.add_column(name)
        for unit in self.units:
            far = latest(unit)
            last = unit.config.settings.iterations
            words = ["", ""] if far is None else [f"{far[0]:,} of {last:,}", "-" if far[1] is None else f"{far[1]:.4g}"]
            table.add_row(unit.name, *words, self.ended.get(unit.name, "waiting" if far is None else ""))
        table.caption = f"{spoken(time.monotonic() - self.began)} so far"
        return table

    def _lines(self) -> None:
        """Now and then a line for each unit that is being trained."""
        while not self._done.wait(LINES_SECONDS):
            for unit in self.units:
                far = None if unit.name in self.ended else latest(unit)
                if far is not None:
                    loss = "" if far[1] is None else f", loss {far[1]:.4g}"
                    last = unit.config.settings.iterations
                    print(f"{unit.name}: iteration {far[0]:,} of {last:,}{loss}", file=self.stream, flush=True)


def latest(unit: Unit) -> tuple[int, float | None] | None:
    """The last iteration and loss that were recorded of a unit, of its slowest seed; None before the first."""
    paths = [unit.directory] if len(unit.seeds) == 1 else [unit.directory / f"seed_{seed}" for seed in unit.seeds]
    found = [line for path in paths if (line := _last_line(path / METRICS)) is not None]
    return min(found, key=lambda far: far[0]) if found else None


def _last_line(path: Path) -> tuple[int, float | None] | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = [line for line in file.read().splitlines() if line.endswith(b"}")]
        values = json.loads(lines[-1])
        return values["iteration"], values["loss"]
    except (OSError, IndexError, ValueError, KeyError, TypeError):  # nothing there yet, or a line half written
        return None
