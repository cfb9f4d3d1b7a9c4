"""Entry point of the ``torchmann`` command: which subcommand runs, and how its errors are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import torchmann
from torchmann.cli.bench import bench
from torchmann.cli.catalogue import list_names
from torchmann.cli.data import download_sets
from torchmann.cli.demo import demo
from torchmann.cli.machine import show_engines
from torchmann.cli.replay_nan import replay_nan_file
from torchmann.cli.reproduce import reproduce
from torchmann.cli.sweep import sweep
from torchmann.cli.train import train
from torchmann.cli.trained import evaluate, show
from torchmann.cli.verify import verify_files
from torchmann.core.errors import DataError, OptionError, ShapeError, unknown_name

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": train,
    "sweep": sweep,
    "eval": evaluate,
    "show": show,
    "demo": demo,
    "list": list_names,
    "download": download_sets,
    "engines": show_engines,
    "bench": bench,
    "reproduce": reproduce,
    "verify": verify_files,
    "replay-nan": replay_nan_file,
}

HELP = """\
usage: torchmann COMMAND ...

Memory-augmented neural networks: train one, measure it, look at its memory at work.

  demo             train a small DNC on the copy task and draw its memory (about a minute)
  train            train a model on a task; everything goes into a run directory
  sweep            train with many settings and seeds, here or on a cluster, and compare
  eval RUN         score a run's model on held-out and on longer sequences
  show RUN         draw a run: its memory at work as a page to step through, pictures, its learning curve
  show --task NAME draw what a task shows and asks
  list [KIND]      what there is by name: models, tasks, data, optimisers, sources, presets
  download NAME    get a data set from its publisher
  engines          what this machine can run, and why not the rest
  bench [SUITE]    time models and engines side by side on this machine
  reproduce NAME   run a table or a figure of a paper, and write paper against ours
  verify FILES     replay recorded runs of other code bases, and compare
  replay-nan FILE  do the iteration again at which a run came to a number that is not finite

Try:
  torchmann demo
  torchmann train --task copy --model ntm --solved_at 0.99
  torchmann train --task babi --task.tasks "[1]" --model dnc

`torchmann COMMAND --help` explains a command; `torchmann --version` prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit status: 0, 1 for a failure while running, 2 for a mistake in the command line, 130 after Ctrl-C.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except OptionError as error:
        return _complain(error, 2)
    except (DataError, ShapeError, OSError, FloatingPointError) as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return _complain("interrupted.", 130)


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if name == "--version":
        print(f"torchmann {torchmann.__version__}")
        return 0
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    return COMMANDS[name](arguments[1:])


def _complain(error: object, status: int) -> int:
    print(f"torchmann: {error}", file=sys.stderr)
    return status
