"""Record: what is kept of one finished run, and the files that records lie in.

A file of records has one JSON object a line. Everything that a report says is computed from these lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError

FORMAT = 1
"""Of the records; raised when what a field means changes."""

POINTS = 500
"""Of a kept curve at most."""

Curve = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Record:
    """One seed of one trial.

    Attributes:
        experiment: its name.
        trial: key of the trial in it.
        seed: of the run.
        scale: ``"smoke"``, ``"short"`` or ``"full"``.
        config: what was trained, as in a configuration file.
        stopped: why training ended, as in `torchmann.training.Outcome`.
        iteration: training steps done.
        seconds: of training with its evaluations; of all seeds that were trained `together`.
        together: seeds trained at once in one process.
        scores: loss and scores of the last weights (of the best ones where training had patience) by split or size.
        curves: by split, ``"train"`` or ``"validation"``: the iterations, the loss and each score, in equally long
            lists.
        parameters: how many the model has.
        peak_bytes: resident memory of the process at most while it trained, or memory of the accelerator.
        extra: other numbers that the experiment takes from the trained model.
        versions: of torchmann, torch, Python and the platform.
        device: processor or accelerator, and threads.
        date: of the end.
        format: of the record.
    """

    experiment: str
    trial: str
    seed: int
    scale: str
    config: Mapping[str, Any]
    stopped: str
    iteration: int
    seconds: float
    together: int
    scores: Mapping[str, Mapping[str, float]]
    curves: Mapping[str, Curve]
    parameters: int
    peak_bytes: int | None
    versions: Mapping[str, str]
    device: str
    date: str
    extra: Mapping[str, float] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def key(self) -> tuple[str, str, int]:
        """What there is one record of: scale, trial and seed."""
        return self.scale, self.trial, self.seed

    def curve(self, series: str) -> tuple[list[float], list[float]]:
        """Iterations and values of a series such as ``"train:loss"``, where it has values."""
        split, _, name = series.partition(":")
        found = self.curves.get(split, {})
        pairs = zip(found.get("iteration", ()), found.get(name, ()), strict=False)
        there = [(x, y) for x, y in pairs if x is not None and y is not None]
        return [x for x, _ in there], [y for _, y in there]

    def to_line(self) -> str:
        """The record as a line of a file."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        """The inverse of `to_line`.

        Raises:
            ValueError: no record, or one of another format.
        """
        values = json.loads(line)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            found = values.get("format") if isinstance(values, dict) else None
            raise ValueError(f"a record of format {found}, and this version reads format {FORMAT}")
        return cls(**values)


class Records:
    """The records of an experiment in one file below a directory.

    Args:
        directory: where records lie, such as ``results``.
        experiment: its name, ``"paper/table1"``, gives the file.
    """

    def __init__(self, directory: str | Path, experiment: str) -> None:
        self.path = Path(directory) / f"{experiment}.jsonl"

    def read(self) -> list[Record]:
        """All records, in the order of scale, trial and seed.

        Raises:
            DataError: a line is no record of this version.
        """
        if not self.path.exists():
            return []
        found = {}
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                record = Record.from_line(line)
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"{self.path}, line {number}: {error}. Run the version of torchmann that wrote it, or take the "
                    "line out and run that seed again."
                ) from error
            found[record.key] = record
        return [found[key] for key in sorted(found)]

    def add(self, record: Record) -> None:
        """Put a record into the file, in place of an earlier one of the same scale, trial and seed.

        Raises:
            OSError: the disk is full, say; the earlier records are still there.
        """
        kept = {earlier.key: earlier for earlier in self.read()} | {record.key: record}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, "".join(kept[key].to_line() for key in sorted(kept)).encode())


def thinned(values: Sequence[Any], points: int = POINTS) -> list[Any]:
    """Every so-many-th of `values`, the last one always, at most `points` of them."""
    stride = -(-len(values) // points) if values else 1
    return list(values[::-1][::stride][::-1])


def rounded(value: float | None, digits: int = 5) -> float | None:
    """`value` with so many significant digits; None where it is not finite."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return float(f"{value:.{digits}g}")


def peak_memory() -> int | None:
    """Resident memory of this process at most since `reset_peak_memory`, in bytes; None where there is no saying."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM")), None)
    return None if found is None else int(found.split()[1]) * 1024


def reset_peak_memory() -> None:
    """Begin to count `peak_memory` anew; where the system does not let us, it goes on from the start of the process."""
    if os.path.exists("/proc/self/clear_refs"):
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return
