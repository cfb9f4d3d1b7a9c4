"""``torchmann train --dry-run``: what would be trained, and an estimate of its time and memory."""

from __future__ import annotations

from torchmann.cli.table import aligned
from torchmann.training import Config
from torchmann.training.dry_run import TIMED, DryRun, dry_run
from torchmann.training.progress import clock


def show_dry_run(config: Config) -> None:
    """Print a `dry_run`."""
    found = dry_run(config)
    print(f"{config.model.name} on {config.task.name}; nothing is trained or written\n")
    for title, rows in (
        ("parameters", _parameters(found)),
        ("the first batch", [[name, str(list(shape)), str(dtype)] for name, (shape, dtype) in found.batch.items()]),
        ("time", _times(found, config)),
        ("most memory at once, beside torch itself", _memory(found)),
    ):
        print(title, *(f"  {line}" for line in aligned(rows)), "", sep="\n")
    print(f"Times are those of {TIMED} iterations and an evaluation just now: a busy or another machine differs.")


def _parameters(found: DryRun) -> list[list[str]]:
    total = sum(part.parameters for part in found.parts)
    return [*([part.path, part.kind, f"{part.parameters:,}"] for part in found.parts), ["total", "", f"{total:,}"]]


def _times(found: DryRun, config: Config) -> list[list[str]]:
    settings = config.settings
    shortest, mean, longest = found.steps
    limits = [name for name in ("solved_at", "patience", "max_seconds") if getattr(settings, name) is not None]
    most = f"at most: {' and '.join(limits)} may end it earlier" if limits else ""
    return [
        ["iteration", f"{found.iteration:.3g} s", f"of {mean:.3g} steps, the mean of {shortest} to {longest}"],
        ["training", clock(found.training), f"{settings.iterations} iterations"],
        ["evaluations", clock(found.evaluations), f"one every {settings.evaluate_every} iterations"],
        ["last evaluation", clock(found.last), "with longer sequences, where the task has them"],
        ["whole run", clock(found.seconds), most],
    ]


def _memory(found: DryRun) -> list[list[str]]:
    rows = found.most_bytes | {"together": sum(found.most_bytes.values())}
    return [[name, f"{size / 2**20:.3g} MiB"] for name, size in rows.items()]
