"""Cases in files: an iteration that went wrong, kept with all that it takes to do it again anywhere."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

from torchmann.core.errors import DataError
from torchmann.training.config import Config
from torchmann.training.forensics import Case, Finding, examine, giving
from torchmann.training.loop import Training
from torchmann.training.tensor_file import load_tree, save_tree

FORMAT = "torchmann case 1"


def save_case(path: Path, case: Case, config: Config) -> None:
    """Write a case into a tensor file: its tensors as safetensors, the rest as JSON, without pickled code.

    Raises:
        OSError: it cannot be written.
    """
    batch = {field.name: getattr(case.batch, field.name) for field in fields(case.batch)}
    save_tree(path, {"format": FORMAT, "config": config.to_dict(), "state": case.state, "batch": batch})


def load_case(path: str | Path, *, device: Literal["cpu", "cuda"] | None = None) -> Training:
    """The training in a file of `save_case`, just before the iteration that went wrong: its next `step` is that one.

    Everything comes from the file; only a task on real data needs that data too, for its vocabulary.

    Args:
        path: of the file.
        device: None is that of the run; on another one the noise of a stochastic cell is not the same.

    Raises:
        DataError: the file is missing, damaged or none of `save_case`, or the task's data is missing.
        OptionError: the device is not there.
    """
    tree = load_tree(Path(path))
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise DataError(f"{path} holds no iteration to do again: give the file that the run named when it stopped.")
    try:
        config = Config.from_dict(tree["config"])
        capture = config.settings.capture and device != "cpu"
        settings = replace(config.settings, device=device or config.settings.device, capture=capture)
        task = config.build_task()
        # Its fields may be more than those of a `Batch`, so one is drawn to be filled in.
        batch, state = replace(task.batch(0, 1, seed=settings.seed), **tree["batch"]), tree["state"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} was written by another version of torchmann: {error}.") from error
    model = config.build_model(task)
    training = Training(model, giving(task, batch), config.build_optimiser(model), settings)
    if settings.device != config.settings.device:  # each kind of device has generators of its own
        state["backward"]["noise"] = training.backward.noise.get_state()
    training.load_state_dict(state)
    return training


def replay_nan(path: str | Path, *, device: Literal["cpu", "cuda"] | None = None) -> Finding | None:
    """Do the iteration in a file of `save_case` again, and say what in it is the first thing that is not finite.

    Arguments and errors are those of `load_case`.

    Returns:
        None if all is finite on this machine.
    """
    return examine(load_case(path, device=device))
