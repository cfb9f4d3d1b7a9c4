"""The measurements of a run for TensorBoard, which is an extra of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from torchmann.core.errors import OptionError
from torchmann.training.loop import Measurement, Training
from torchmann.training.run_directory import RunDirectory


def require_tensorboard() -> None:
    """Raise `OptionError` unless the package is installed."""
    if find_spec("tensorboard") is None:
        raise OptionError(
            "--tensorboard needs the package tensorboard: pip install 'torchmann[tensorboard]', or leave the flag out."
        )


@contextmanager
def event_log(directory: RunDirectory, training: Training) -> Iterator[Callable[[Measurement], None]]:
    """Within this context, what a measurement is given to; it goes into the run's directory if the settings say so.

    A resumed run takes the place of what was logged after its checkpoint.
    """
    if not training.settings.tensorboard or not training.processes.first:
        yield lambda measurement: None
        return
    from torch.utils.tensorboard import SummaryWriter  # only here, for the package may be absent

    with SummaryWriter(str(directory.events), purge_step=training.iteration + 1) as writer:

        def log(measurement: Measurement) -> None:
            for name, value in {"loss": measurement.loss, **measurement.scores}.items():
                writer.add_scalar(f"{measurement.split}/{name}", value, measurement.iteration)

        yield log
