"""The directory of a run: configuration, versions, metrics, checkpoints, weights, evaluation, pictures."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml  # type: ignore[import-untyped]
from torch import nn

import torchmann
from torchmann.core.atomic import clear_unfinished, unfinished, write_atomically, writing
from torchmann.core.errors import DataError, OptionError
from torchmann.core.packing import unpack
from torchmann.models.storage import fill, packed
from torchmann.training.checkpoint import Checkpoints
from torchmann.training.config import Config
from torchmann.training.loop import Measurement

try:
    import fcntl
except ImportError:  # no POSIX system
    fcntl = None  # type: ignore[assignment]

CONFIG, VERSIONS, METRICS = "config.yaml", "versions.json", "metrics.jsonl"
WEIGHTS, EVALUATION, PICTURES, CHECKPOINTS = "model.safetensors", "evaluation.json", "pictures", "checkpoints"
CASE = "not-finite.safetensors"
LENGTH_CURVE = "length_curve.json"
PICTURE_ENDINGS = (".png", ".pdf", ".svg", ".html")
EVENTS = "tensorboard"
ENSEMBLE = "ensemble.yaml"

Made = TypeVar("Made")


class RunDirectory:
    """Reads and writes what belongs to one run; files are replaced whole, so that none is ever half written.

    Args:
        path: of the directory. `create` makes a new one, `open` takes an existing one.
        part_of: the directory of the ensemble that is trained, if this is a member's.
    """

    def __init__(self, path: str | Path, part_of: Path | None = None) -> None:
        self.path, self.part_of = Path(path), part_of

    @classmethod
    def create(cls, path: str | Path, config: Config, *, overwrite: bool = False) -> RunDirectory:
        """A new run's directory, proved to be writable, with its configuration and versions.

        Args:
            path: to make, parents included; an empty directory will do.
            config: of the run.
            overwrite: replace the run that is there. A directory that holds anything but a run is never touched.

        Raises:
            OptionError: the directory is not empty.
            OSError: it cannot be written to.
        """
        run = cls(path)
        with writing(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            if set(run.path.iterdir()) - {unfinished(run.path / CONFIG)}:  # of a process killed just here
                if not (run.path / CONFIG).is_file():
                    raise OptionError(f"{run.path} is not empty and holds no run: choose another with --output.")
                if not overwrite:
                    raise OptionError(f"{run.path} holds a run: pass --overwrite to replace it, or another --output.")
                with run.in_use():
                    run._clear()
        run.save_config(config)  # first, for what holds a configuration is a run that can be resumed
        run.prepare()
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """The directory of an earlier run.

        Raises:
            DataError: there is no run.
        """
        if (Path(path) / ENSEMBLE).is_file():
            raise DataError(f"{path} holds several runs: give one of them, a directory seed_... in it.")
        if not (Path(path) / CONFIG).is_file():
            raise DataError(f"{path} holds no run (no {CONFIG}): give a directory that `torchmann train` has made.")
        return cls(path)

    @property
    def pictures(self) -> Path:
        """Where the pictures go."""
        return self.path / PICTURES

    @property
    def events(self) -> Path:
        """Where the log for TensorBoard goes."""
        return self.path / EVENTS

    @property
    def checkpoints(self) -> Checkpoints:
        """What the run can go on from."""
        return Checkpoints(self.path / CHECKPOINTS)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this context no other process can train here; the system ends it with the process, however that ends.

        Raises:
            OptionError: another process does.
        """
        if fcntl is None:
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OptionError(f"{self.path} is being trained by another process: wait for its end.") from error
            yield
        finally:
            os.close(descriptor)

    def prepare(self) -> None:
        """Make what a run must have beside its configuration; remove what a killed process has left half written."""
        with writing(self.path):
            for folder in (self.pictures, self.checkpoints.directory):
                folder.mkdir(exist_ok=True)
            for folder in (self.path, self.checkpoints.directory):
                clear_unfinished(folder)
        self.write(VERSIONS, as_json(versions()))

    def save_config(self, config: Config) -> None:
        """Write or replace the configuration."""
        self.write(CONFIG, yaml.safe_dump(config.to_dict(), sort_keys=False))

    def config(self) -> Config:
        """What the run was made from.

        Raises:
            DataError: the file is damaged.
        """
        return read_yaml(self.path / CONFIG, Config.from_dict)

    def record(self, measurement: Measurement) -> None:
        """Append a line to the metrics."""
        with writing(self.path / METRICS), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(as_json(measurement._asdict(), indent=None))

    def settle_metrics(self) -> int:
        """Put the metrics on the disk, so that no checkpoint is ahead of them; their size in bytes."""
        with writing(self.path / METRICS), (self.path / METRICS).open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut_metrics(self, size: int) -> None:
        """Cut off what was recorded after `settle_metrics` has returned `size`.

        Raises:
            DataError: it is no longer all there.
        """
        path = self.path / METRICS
        there = path.stat().st_size if path.exists() else 0
        if there < size:
            raise DataError(f"{path} has {there} bytes, but had {size} at the checkpoint: put the lost lines back.")
        if there > size:
            with writing(path):
                os.truncate(path, size)

    def measurements(self) -> list[Measurement]:
        """All that was recorded, in order; a last line that a crash cut short is passed over."""
        path = self.path / METRICS
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
            return [_measurement(**json.loads(line)) for line in lines if line.endswith("\n")]
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} holds a line that is no measurement: {error}.") from error

    def save_weights(self, model: nn.Module) -> None:
        """Replace the stored model, a file that `torchmann.load` reads too."""
        self.write(WEIGHTS, packed(model))

    def load_weights(self, model: nn.Module) -> None:
        """Fill `model` with the stored weights.

        Raises:
            DataError: there are none, they are damaged, or they belong to another model.
        """
        path = self.path / WEIGHTS
        if not path.exists():
            raise DataError(f"{path} does not exist: the run stopped before its first checkpoint.")
        fill(model, unpack(path)[0], path)

    def write(self, name: str, content: str | bytes) -> None:
        """Write or replace a file of the run in one move."""
        write_atomically(self.path / name, content.encode() if isinstance(content, str) else content)

    def write_json(self, name: str, content: Any) -> None:
        """Write or replace a JSON file; numbers that are not finite become null."""
        self.write(name, as_json(content))

    def read_json(self, name: str) -> Any:
        """What `write_json` has written.

        Raises:
            DataError: the file is missing or damaged.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is missing or damaged: {error}.") from error

    def remove(self) -> None:
        """Remove all that belongs to the run; a directory stays if it holds anything else.

        Raises:
            OptionError: another process trains the run.
        """
        with self.in_use():
            self._clear()
        (self.path / CONFIG).unlink(missing_ok=True)
        for folder in (self.pictures, self.checkpoints.directory, self.events, self.path):
            with suppress(OSError):
                folder.rmdir()

    def _clear(self) -> None:
        self.checkpoints.clear()
        for name in (METRICS, WEIGHTS, EVALUATION, VERSIONS, CASE, LENGTH_CURVE):
            (self.path / name).unlink(missing_ok=True)
        pictures = [path for path in self.pictures.glob("*") if path.suffix in PICTURE_ENDINGS]
        for made in (*pictures, *self.events.glob("events.*")):
            made.unlink()


def read_yaml(path: Path, made: Callable[[Any], Made]) -> Made:
    """What is made of the content of a configuration file.

    Raises:
        DataError: the file is damaged.
    """
    try:
        return made(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise DataError(f"{path} is not the configuration of a run: {reason.removesuffix('.')}.") from error


def default_path(config: Config) -> Path:
    """``runs/<task>-<model>-<time>``, below the working directory."""
    name = f"{config.task.name}-{config.model.name}".replace("/", "-")
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def versions() -> dict[str, str]:
    """What a run was made with."""
    return {
        "torchmann": torchmann.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _measurement(split: str, iteration: int, seconds: float, loss: float | None, scores: dict[str, Any]) -> Measurement:
    if not isinstance(iteration, int) or not isinstance(seconds, int | float) or not isinstance(scores, dict):
        raise TypeError(f"iteration {iteration!r}, seconds {seconds!r}, scores {scores!r}")
    return Measurement(split, iteration, seconds, math.nan if loss is None else loss, scores)


def as_json(content: Any, indent: int | None = 2) -> str:
    """The text of a JSON file; numbers that are not finite become null."""
    return json.dumps(_finite(content), indent=indent, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
