"""``torchmann train``: a run from its flags, or on from where one was stopped."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import yaml  # type: ignore[import-untyped]

from torchmann.cli.dry_run import show_dry_run
from torchmann.cli.parser import Parser
from torchmann.cli.report import report
from torchmann.cli.train_flags import RESUMED, parse_train
from torchmann.cli.trained import opened
from torchmann.training import Outcome, resume_run, train_run


def train(arguments: Sequence[str]) -> int:
    """``torchmann train``: 130 after Ctrl-C or SIGTERM, else 0. Of several processes only the first one prints."""
    if any(argument.partition("=")[0] == "--resume" for argument in arguments):
        return _finished(resume(arguments))
    line = parse_train(arguments)
    if line.print_config:
        print(yaml.safe_dump(line.config.to_dict(), sort_keys=False), end="")
        return 0
    if line.dry_run:
        show_dry_run(line.config)
        return 0
    return _finished(train_run(line.config, line.output, overwrite=line.overwrite))


def resume(arguments: Sequence[str]) -> Outcome:
    """``torchmann train --resume RUN``."""
    parser = Parser(
        prog="torchmann train --resume RUN",
        description="Go on with a run from its last checkpoint, after Ctrl-C, SIGTERM, a crash or a full disk: "
        f"{RESUMED}.",
    )
    parser.add_argument("--resume", metavar="RUN", required=True, help="Directory that `torchmann train` has made.")
    parser.add_argument("--iterations", type=int, help="A new limit, to train on where the old one was reached.")
    parser.add_argument("--max_seconds", type=float, help="A new limit; the seconds of earlier sessions count.")
    parsed = parser.parse_args(list(arguments))
    return resume_run(opened(parsed.resume).path, iterations=parsed.iterations, max_seconds=parsed.max_seconds)


def _finished(outcome: Outcome) -> int:
    """Print how a run ended; the exit status."""
    if not outcome.first:
        return 0
    report(outcome)
    if outcome.evaluation is None:
        return 130
    print(f"\nPictures of the memory at work:  torchmann show {shlex.quote(str(outcome.directory.path))}")
    return 0
