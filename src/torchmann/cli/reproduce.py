"""``torchmann reproduce``: the tables and figures of papers, run and compared."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torchmann.analysis.style import save
from torchmann.cli.parser import Parser
from torchmann.cli.table import aligned
from torchmann.core.atomic import write_atomically
from torchmann.core.errors import OptionError, require_positive
from torchmann.experiments import catalogue
from torchmann.experiments.check import agreements
from torchmann.experiments.comparison import places
from torchmann.experiments.curves import curves
from torchmann.experiments.distribution import run_in_pool
from torchmann.experiments.estimate import Estimate, estimate, spoken, total
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.page import page
from torchmann.experiments.queue import FILE as TIMINGS
from torchmann.experiments.queue import add_timings, read_timings, timing
from torchmann.experiments.record import Record
from torchmann.experiments.report import claims_table, markdown, mean_sd, results_table, undecided
from torchmann.experiments.results import Results, identity, require_readable
from torchmann.experiments.runner import Budget, Unit, pending, ready, run_all
from torchmann.experiments.scale import require_scale, seeds_at
from torchmann.experiments.selection import chosen
from torchmann.experiments.watch import Watch
from torchmann.experiments.workers.pool import Backend, require_backend


def reproduce(arguments: Sequence[str]) -> int:
    """``torchmann reproduce NAME``: 1 if a trial failed or, with --check, is off; 130 if it was stopped; else 0."""
    parsed = parse(arguments)
    names = catalogue.names() if parsed.all else parsed.names
    experiments = [catalogue.find(name) for name in names]
    asked = [chosen(experiment, parsed.models, parsed.tasks) for experiment in experiments]
    output, budget = Path(parsed.output), Budget(parsed.hours)
    stored = require_readable(parsed.results or ("results" if parsed.scale == "full" else output / "results"))
    results = Results(output / "check") if parsed.check else stored
    status = 0
    for experiment, trials in zip(experiments, asked, strict=True):
        status = max(status, one(experiment, trials, parsed, results, budget))
        if parsed.check:
            status = max(status, tell_agreement(experiment, trials, stored, results, parsed.scale))
        if status == 130:
            break
    return status


def parse(arguments: Sequence[str]) -> Any:
    """What the command line asks for.

    Raises:
        OptionError: whatever is wrong with it.
    """
    parser = Parser(
        prog="torchmann reproduce",
        description="Run tables and figures of papers as declared, and write paper against ours. What has a record is "
        "not run again, and what was interrupted goes on.",
        epilog="Example: torchmann reproduce dam/figure2 --models DAM-1 DAM-2 --tasks copy --seeds 2 --hours 1",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"Any of {', '.join(catalogue.names())}.")
    parser.add_argument("--all", action="store_true", help="Every experiment.")
    parser.add_argument("--scale", default="full", help="smoke: two iterations; short: a tenth of them; or full.")
    parser.add_argument("--models", metavar="ROW", nargs="+", help="Rows to run; * stands for any letters.")
    parser.add_argument("--tasks", metavar="COLUMN", nargs="+", help="Columns to run; * stands for any letters.")
    parser.add_argument("--seeds", type=int, metavar="N", help="Runs of each trial; the paper's number if left out.")
    parser.add_argument("--device", default="cpu", help="cpu or cuda.")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads.")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="Trials at a time, each in its process.")
    text = "Where the workers are: this machine, a Ray cluster (torchmann[ray]) or Slurm (torchmann[slurm])."
    parser.add_argument("--backend", type=Backend, default="local", help=text)
    text = "What Ray or Slurm gives to each trial, as --job.num_gpus 1, --job.slurm_partition NAME."
    parser.add_argument("--job", type=dict[str, Any], default={}, metavar="KEY=VALUE", help=text)
    parser.add_argument("--hours", type=float, help="Stop cleanly after so long; the same command goes on.")
    parser.add_argument("--output", metavar="DIR", default="runs/reproduce", help="Where runs and reports lie.")
    parser.add_argument("--results", metavar="DIR", help="Where the records lie; results at the full scale.")
    parser.add_argument(
        "--estimate", action="store_true", help="Only time a few iterations of each trial, and keep that."
    )
    parser.add_argument("--check", action="store_true", help="Compare new runs with the stored records, and keep none.")
    parsed = parser.parse_args(list(arguments))
    require_scale(parsed.scale)
    require_backend(parsed.backend, parsed.job)
    require_positive(
        threads=parsed.threads, workers=parsed.workers, **({} if parsed.seeds is None else {"seeds": parsed.seeds})
    )
    if parsed.hours is not None and not parsed.hours > 0:
        raise OptionError(f"hours must be above 0, got {parsed.hours}; leave it out for no limit.")
    if parsed.device not in ("cpu", "cuda"):
        raise OptionError(f"device must be cpu or cuda, got {parsed.device!r}.")
    if bool(parsed.names) == parsed.all:
        raise OptionError(f"name experiments, or give --all: {', '.join(catalogue.names())}.")
    return parsed


def one(experiment: Experiment, trials: Sequence[Trial], parsed: Any, results: Results, budget: Budget) -> int:
    """Run one experiment and report on it; the exit status."""
    scale, output = parsed.scale, Path(parsed.output)
    seeds = range(parsed.seeds or seeds_at(experiment, scale))
    placed = {"device": parsed.device, "threads": parsed.threads}
    units, lacking = ready(pending(experiment, scale, results, output, seeds=seeds, trials=trials, **placed))
    for unit, error in lacking:
        print(f"{unit.name} is left out: {error}")
    if parsed.estimate:
        keep_estimates(units, results, scale)
        return 0
    if units and scale != "smoke":
        tell_estimates(units, parsed.workers)
    if parsed.workers == 1 and parsed.backend == "local":
        ends = run_all(units, experiment, budget)
    else:
        folder, options = output / "slurm", parsed.job
        ends = run_in_pool(units, budget, parsed.backend, workers=parsed.workers, folder=folder, options=options)
    status = train_units(units, ends, experiment, results)
    write_report(experiment, results, scale, output)
    return status


def tell_estimates(units: Sequence[Unit], workers: int) -> None:
    """Time every unit, and print what it would take."""
    found = [estimate(unit) for unit in units]
    rows = [["to run", "ms an iteration", "iterations", "time"]]
    rows += [estimated(unit, each) for unit, each in zip(units, found, strict=True)]
    print("\n".join(aligned(rows)))
    print(f"about {spoken(total(found, workers))} in all, on this machine as it is now\n", flush=True)


def estimated(unit: Unit, found: Estimate) -> list[str]:
    """A unit and its estimate, as the cells of a row."""
    count = f"{unit.config.settings.iterations:,}"
    return [unit.name, f"{1e3 * found.seconds_per_iteration:.1f}", count, spoken(found.seconds)]


def keep_estimates(units: Sequence[Unit], results: Results, scale: str) -> None:
    """Time the units that have not been timed, print what each would take, and keep it for the queue."""
    timed = read_timings(results.directory)
    left = [unit for unit in units if identity(unit.config) not in timed]
    if len(left) < len(units):
        print(f"{len(units) - len(left)} units were timed before: {results.directory / TIMINGS}")
    for unit in left:
        found = estimate(unit)
        name, milliseconds, iterations, time = estimated(unit, found)
        print(f"{name}: {milliseconds} ms an iteration, {iterations} iterations, {time}", flush=True)
        if scale == "full":
            add_timings(results.directory, [timing(unit, found)])


def train_units(
    units: Sequence[Unit],
    ends: Iterable[tuple[Unit, list[Record] | Exception]],
    experiment: Experiment,
    results: Results,
) -> int:
    """Keep the records of units as they end; the exit status."""
    failed, ended = False, 0
    with Watch(units, experiment, sys.stdout) as watch:
        try:
            for unit, found in ends:
                failed |= isinstance(found, Exception)
                ended += bool(found)
                for record in [] if isinstance(found, Exception) else found:
                    results.add(record)
                watch.end(unit, found)
        except KeyboardInterrupt:
            return 130
    return 1 if failed else 130 * (ended < len(units))


def write_report(experiment: Experiment, results: Results, scale: str, output: Path) -> None:
    """Print the tables of an experiment, and write its report as Markdown and as a page."""
    found, folder = places(experiment, results, scale), output / experiment.name / scale
    print("\n".join(aligned(results_table(experiment, found))))
    claims = claims_table(experiment, results, scale)
    if len(claims) > 1:
        print("\n" + "\n".join(aligned(claims)))
    if waiting := undecided(experiment, results, scale):
        print(f"\n{waiting}")
    save(curves(experiment, found), folder / "curves.png")
    write_atomically(folder / "report.md", markdown(experiment, results, scale, "curves.png").encode())
    write_atomically(folder / "report.html", page(experiment, results, scale).encode())
    print(f"\nreport: {folder / 'report.html'} and report.md; records: {results.directory / experiment.name}.jsonl\n")


def tell_agreement(experiment: Experiment, trials: Sequence[Trial], stored: Results, fresh: Results, scale: str) -> int:
    """Print whether fresh runs agree with the stored records; 1 if one is off or nothing could be compared, else 0."""
    found = agreements(experiment, trials, stored, fresh, scale)
    measure = experiment.measure
    rows = [["", "stored", "now", ""]]
    rows += [
        [each.trial.key, mean_sd(each.stored, measure), mean_sd(each.fresh, measure), each.answer] for each in found
    ]
    print("\n".join(aligned(rows)) + "\n")
    compared = [each for each in found if each.stored.n and each.fresh.n]
    return int(not compared or any(each.answer == "off" for each in compared))
