"""The directory of a run: configuration, versions, metrics, weights, evaluation, pictures."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml  # type: ignore[import-untyped]
from safetensors import SafetensorError
from torch import nn

import torchmann
from torchmann.core.errors import DataError, OptionError
from torchmann.training.config import Config
from torchmann.training.loop import Measurement

CONFIG, VERSIONS, METRICS = "config.yaml", "versions.json", "metrics.jsonl"
WEIGHTS, EVALUATION, PICTURES = "model.safetensors", "evaluation.json", "pictures"


class RunDirectory:
    """Reads and writes what belongs to one run; files are replaced whole, so that none is ever half written.

    Args:
        path: of the directory. `create` makes a new one, `open` takes an existing one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

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
        with run._writing(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            if any(run.path.iterdir()):
                if not (run.path / CONFIG).is_file():
                    raise OptionError(f"{run.path} is not empty and holds no run: choose another with --output.")
                if not overwrite:
                    raise OptionError(f"{run.path} holds a run: pass --overwrite to replace it, or another --output.")
                run._clear()
            run.pictures.mkdir(exist_ok=True)
        run.write(CONFIG, yaml.safe_dump(config.to_dict(), sort_keys=False))
        run.write(VERSIONS, _json(versions()))
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """The directory of an earlier run.

        Raises:
            DataError: there is no run.
        """
        if not (Path(path) / CONFIG).is_file():
            raise DataError(f"{path} holds no run (no {CONFIG}): give a directory that `torchmann train` has made.")
        return cls(path)

    @property
    def pictures(self) -> Path:
        """Where the pictures go."""
        return self.path / PICTURES

    def config(self) -> Config:
        """What the run was made from.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return Config.from_dict(yaml.safe_load((self.path / CONFIG).read_text(encoding="utf-8")))
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{self.path / CONFIG} is not the configuration of a run: {reason}.") from error

    def record(self, measurement: Measurement) -> None:
        """Append a line to the metrics."""
        with self._writing(self.path / METRICS), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(_json(measurement._asdict(), indent=None))

    def measurements(self) -> list[Measurement]:
        """All that was recorded, in order; a last line that a crash cut short is passed over."""
        path = self.path / METRICS
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        try:
            return [Measurement(**json.loads(line)) for line in lines if line.endswith("\n")]
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} holds a line that is no measurement: {error}.") from error

    def save_weights(self, model: nn.Module) -> None:
        """Replace the stored weights."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        self.write(WEIGHTS, safetensors.torch.save(tensors))

    def load_weights(self, model: nn.Module) -> None:
        """Fill `model` with the stored weights.

        Raises:
            DataError: there are none, they are damaged, or they belong to another model.
        """
        path = self.path / WEIGHTS
        try:
            model.load_state_dict(safetensors.torch.load(path.read_bytes()))
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist: the run stopped before its first evaluation.") from error
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path} does not fit the model of {CONFIG}: {reason}") from error

    def write(self, name: str, content: str | bytes) -> None:
        """Write or replace a file of the run in one move."""
        path = self.path / name
        unfinished = path.with_name(f".{path.name}.unfinished")
        with self._writing(path):
            try:
                with unfinished.open("wb") as file:
                    file.write(content.encode() if isinstance(content, str) else content)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                with suppress(FileNotFoundError):
                    unfinished.unlink()

    def write_json(self, name: str, content: Any) -> None:
        """Write or replace a JSON file; numbers that are not finite become null."""
        self.write(name, _json(content))

    def _clear(self) -> None:
        for name in (METRICS, WEIGHTS, EVALUATION, VERSIONS):
            (self.path / name).unlink(missing_ok=True)
        for picture in self.pictures.glob("*.png"):
            picture.unlink()

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}.") from error


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


def _json(content: Any, indent: int | None = 2) -> str:
    return json.dumps(_finite(content), indent=indent, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
