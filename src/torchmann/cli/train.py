"""``torchmann train``: a run from its flags, or on from where one was stopped."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from torchmann.cli.dry_run import show_dry_run
from torchmann.cli.parser import Parser
from torchmann.cli.report import report, report_ensemble
from torchmann.cli.train_flags import RESUMED, parse_train
from torchmann.cli.trained import opened, require_configuration
from torchmann.core.errors import OptionError
from torchmann.training import (
    EnsembleDirectory,
    EnsembleOutcome,
    Outcome,
    resume_ensemble,
    resume_run,
    train_ensemble,
    train_run,
)
from torchmann.training.ensemble import NOT_FINITE
from torchmann.training.run_directory import ENSEMBLE


def train(arguments: Sequence[str]) -> int:
    """``torchmann train``: 130 after Ctrl-C or SIGTERM, 1 if a seed of several came to NaN, else 0.

    Of several processes only the first one prints.
    """
    if any(argument.partition("=")[0] == "--resume" for argument in arguments):
        return _finished(resume(arguments))
    line = parse_train(arguments)
    if line.print_config:
        several = {"seeds": line.seeds} if line.seeds > 1 else {}
        print(yaml.safe_dump(line.config.to_dict() | several, sort_keys=False), end="")
        return 0
    if line.dry_run:
        show_dry_run(line.config)
        if line.seeds > 1:
            print(f"All of this is of one seed; --seeds {line.seeds} needs the memory of {line.seeds}.")
        return 0
    if line.seeds > 1:
        return _finished(train_ensemble(line.config, line.seeds, line.output, overwrite=line.overwrite))
    return _finished(train_run(line.config, line.output, overwrite=line.overwrite))


def resume(arguments: Sequence[str]) -> Outcome | EnsembleOutcome:
    """``torchmann train --resume RUN``."""
    parser = Parser(
        prog="torchmann train --resume RUN",
        description="Go on with a run from its last checkpoint, after Ctrl-C, SIGTERM, a crash or a full disk: "
        f"{RESUMED}.",
    )
    parser.add_argument("--resume", metavar="RUN", required=True, help="Directory that `torchmann train` has made.")
    parser.add_argument("--iterations", type=int, help="A new limit, to train on where the old one was reached.")
    parser.add_argument("--max_seconds", type=float, help="A new limit; the seconds of earlier sessions count.")
    parser.add_argument("--seeds", type=int, help="How many seeds are trained at once; needs not be given.")
    parsed = parser.parse_args(list(arguments))
    path, limits = parsed.resume, {"iterations": parsed.iterations, "max_seconds": parsed.max_seconds}
    if EnsembleDirectory.is_there(path):
        require_configuration(Path(path) / ENSEMBLE)
        return resume_ensemble(path, seeds=parsed.seeds, **limits)
    if parsed.seeds not in (None, 1):
        raise OptionError(f"{path} holds one run, not {parsed.seeds} seeds: leave --seeds out.")
    return resume_run(opened(path).path, **limits)


def _finished(outcome: Outcome | EnsembleOutcome) -> int:
    """Print how a run ended, or several did; the exit status."""
    if isinstance(outcome, EnsembleOutcome):
        report_ensemble(outcome)
        if outcome.summary is None:
            return 130
        return 1 if any(member.stopped == NOT_FINITE for member in outcome.summary.members) else 0
    if not outcome.first:
        return 0
    report(outcome)
    if outcome.evaluation is None:
        return 130
    print(f"\nPictures of the memory at work:  torchmann show {shlex.quote(str(outcome.directory.path))}")
    return 0
