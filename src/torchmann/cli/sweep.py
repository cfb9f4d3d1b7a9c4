"""``torchmann sweep``: train at many points and for several seeds, here or on a cluster, and compare."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchmann.cli.parser import Parser
from torchmann.cli.train_flags import Line, parse_train
from torchmann.core.errors import OptionError, require_positive
from torchmann.experiments.sweeps.results import MARKDOWN, markdown, write_tables
from torchmann.experiments.sweeps.run import run_sweep
from torchmann.experiments.sweeps.search import Values, axis, drawn, every, require_different
from torchmann.experiments.sweeps.sweep import Point, Sweep, require_distinct
from torchmann.experiments.workers.pool import Backend, require_backend
from torchmann.training.run_directory import default_path


def sweep(arguments: Sequence[str]) -> int:
    """``torchmann sweep``: 130 after Ctrl-C or SIGTERM, 1 if a run has come to no result, else 0."""
    own, of_train = _parted(arguments)
    parsed = _parser().parse_args(own)
    require_positive(workers=parsed.workers)
    require_backend(parsed.backend, parsed.job)
    asked, only_listed = _resumed(parsed, of_train) if parsed.resume is not None else _described(parsed, of_train)
    asked.check()
    total = len(asked.points) * asked.seeds
    print(f"{len(asked.points)} points, {asked.seeds} seeds each, {total} runs: {asked.path}", flush=True)
    if only_listed:
        print("\n".join(point.name for point in asked.points))
        return 0
    asked.save()
    try:
        run_sweep(asked, parsed.backend, workers=parsed.workers, options=parsed.job)
    except KeyboardInterrupt:
        _report(asked)
        return 130
    return _report(asked)


def _report(asked: Sweep) -> int:
    """Print and write what the runs have come to so far; 1 if some have come to nothing."""
    rows = write_tables(asked)
    print(f"\n{markdown(rows, asked.seeds)}\nThis table is in {asked.path / MARKDOWN}, and as CSV beside it.")
    if rows[0].decides is not None:
        print(f"The best is {rows[0].point.name}, in {asked.runs_directory(rows[0].point)}.")
    runs = list(asked.runs())
    left, failed = [run for run in runs if not run.ended], [run for run in runs if run.failed]
    if failed:
        print(f"{len(failed)} of {len(runs)} runs came to a number that is not finite: their logs say where.")
    if left:
        again = f"torchmann sweep --resume {shlex.quote(str(asked.path))}"
        print(f"{len(left)} of {len(runs)} runs have not ended; go on with: {again}")
    return 1 if left or failed else 0


def _parser() -> Parser:
    parser = Parser(
        prog="torchmann sweep",
        usage="torchmann sweep --task NAME --grid FLAG=VALUE,VALUE [--grid ...] [--seeds N] [flags of train]\n"
        "       torchmann sweep --resume DIR [--workers N] [--backend NAME]",
        description="Train one configuration at many points, each for several seeds, every run in a directory of its "
        "own; stop and go on at any time, by --resume or by the same command. All other flags are those of "
        "`torchmann train`: see `torchmann train --task NAME --model NAME --help`.",
        epilog="Example: torchmann sweep --task copy --model dnc --iterations 2000 --grid model.slots=8,16 "
        "--grid optimiser.lr=1e-3,1e-4 --seeds 3 --workers 2 --output runs/sweep",
    )
    text = (
        "A flag with its values, or with a range to draw from by --random, uniform:LOW:HIGH or log:LOW:HIGH; one "
        "--grid for each flag, and all combinations are trained."
    )
    parser.add_argument("--grid", metavar="FLAG=VALUES", action="append", default=[], help=text)
    text = "Draw so many points, in place of all combinations; --seed seeds this too."
    parser.add_argument("--random", type=int, metavar="N", help=text)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="Runs at a time.")
    text = "This machine, a Ray cluster (torchmann[ray]) or Slurm (torchmann[slurm])."
    parser.add_argument("--backend", type=Backend, default="local", help=text)
    text = (
        "What Ray or Slurm gives to each run, as --job.num_gpus 1, --job.timeout_min 600, --job.slurm_partition NAME."
    )
    parser.add_argument("--job", type=dict[str, Any], default={}, metavar="KEY=VALUE", help=text)
    parser.add_argument("--resume", metavar="DIR", help="Go on with a sweep; what has ended is left as it is.")
    return parser


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments for `_parser`, and those for ``torchmann train``."""
    known, own = set(_parser()._option_string_actions), False
    parts: dict[bool, list[str]] = {True: [], False: []}
    for argument in arguments:
        if argument == "-h" or argument.startswith("--"):
            own = re.split("[=.]", argument)[0] in known
        parts[own].append(argument)
    return parts[True], parts[False]


def _resumed(parsed: Any, of_train: Sequence[str]) -> tuple[Sweep, bool]:
    """The sweep that was begun earlier, and False."""
    surplus = ["--grid"] * bool(parsed.grid) + ["--random"] * (parsed.random is not None) + list(of_train)
    if surplus:
        raise OptionError(f"--resume goes on with a sweep as it was begun: leave {surplus[0]} out.")
    return Sweep.open(parsed.resume), False


def _described(parsed: Any, of_train: Sequence[str]) -> tuple[Sweep, bool]:
    """The sweep that a command line describes, and whether its points are only listed."""
    axes = [axis(text) for text in parsed.grid]
    require_different(axes)
    if parsed.random is None:
        points = every(axes)
    else:  # the seed may stand in a file of --config, and a complete line is needed to read it
        seed = _line(of_train, drawn(axes, 1, 0)[0]).config.settings.seed
        points = drawn(axes, parsed.random, seed)
    lines = [_line(of_train, values) for values in points]
    first = lines[0]
    if first.overwrite or first.print_config:
        flag = "--overwrite" if first.overwrite else "--print-config"
        raise OptionError(f"a sweep has no {flag}: leave it out; --dry-run lists the points.")
    made = default_path(first.config)
    path = Path(first.output or made.with_name(f"sweep-{made.name}"))
    found = [Point(values, line.config) for values, line in zip(points, lines, strict=True)]
    require_distinct(found)
    return Sweep(path, found, first.seeds), first.dry_run


def _line(of_train: Sequence[str], values: Values) -> Line:
    """What ``torchmann train`` makes of a point; what is wrong with a value names its flag."""
    return parse_train([*of_train, *(f"--{flag}={value}" for flag, value in values.items())])
