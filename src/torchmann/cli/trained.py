"""The commands that look at a run: ``torchmann eval`` and ``torchmann show``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torchmann.analysis.run_pictures import FORMATS
from torchmann.cli.parser import Parser
from torchmann.cli.report import draw, table
from torchmann.cli.show_task import names_task, show_task
from torchmann.cli.train_flags import parse_train
from torchmann.core.errors import DataError, OptionError
from torchmann.training import RunDirectory, evaluate_finally, load_run
from torchmann.training.run_directory import CONFIG
from torchmann.training.threads import use_threads


def opened(path: str) -> RunDirectory:
    """The run in a directory, once its configuration is proved to be one that could be typed.

    Raises:
        DataError: there is no run, or its configuration is damaged.
    """
    directory = RunDirectory.open(path)
    require_configuration(directory.path / CONFIG)
    directory.config()
    return directory


def require_configuration(file: Path) -> None:
    """Raise `DataError` unless what a configuration file says could be typed."""
    try:
        parse_train(["--config", str(file)])
    except OptionError as error:
        reason = str(error).removeprefix(f"--config {file} ")
        raise DataError(f"{file} is not the configuration of a run: {reason}") from error


def evaluate(arguments: Sequence[str]) -> int:
    """``torchmann eval RUN``."""
    parser = Parser(prog="torchmann eval", description="Score a run's model on held-out and on longer sequences.")
    parser.add_argument("run", metavar="RUN", help="Directory that `torchmann train` has made.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where the model runs.")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads.")
    parsed = parser.parse_args(list(arguments))
    config, task, model = load_run(opened(parsed.run))
    settings = replace(config.settings, device=parsed.device, threads=parsed.threads)
    use_threads(settings.threads)
    print(table(evaluate_finally(model, task, settings)))
    return 0


def show(arguments: Sequence[str]) -> int:
    """``torchmann show RUN``, or ``torchmann show --task NAME``."""
    if names_task(arguments):
        return show_task(arguments)
    parser = Parser(
        prog="torchmann show",
        description="Draw a run into its directory: the memory microscope, a page on which a memory is watched step by "
        "step and over the kept checkpoints; pictures of a test sequence, of a longer one and of what was learnt. "
        "`torchmann show --task NAME` draws a task instead.",
    )
    parser.add_argument("run", metavar="RUN", help="Directory that `torchmann train` has made.")
    parser.add_argument("--format", choices=FORMATS, default="png", help="Of the pictures; pdf and svg are for print.")
    parser.add_argument("--dpi", type=int, default=150, help="Dots per inch of the pictures; 300 is for print.")
    parsed = parser.parse_args(list(arguments))
    draw(opened(parsed.run), format=parsed.format, dpi=parsed.dpi)
    return 0
