"""Whole runs of several seeds at once, each with a directory as if it had been trained by itself."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from torchmann.core.errors import OptionError, require_positive
from torchmann.training.config import Config
from torchmann.training.ensemble import NOT_FINITE, Ensemble
from torchmann.training.ensemble_directory import SUMMARY, EnsembleDirectory
from torchmann.training.ensemble_progress import ensemble_progress
from torchmann.training.ensemble_summary import Member, Summary, scores_in, summarise
from torchmann.training.forensics import NotFiniteError
from torchmann.training.loop import Training
from torchmann.training.resume import ended, has_ended, load_newest, settle
from torchmann.training.run import finish, keep, resumable, resumption, saving_the_case, training_of
from torchmann.training.run_directory import RunDirectory, default_path
from torchmann.training.signals import interruptible
from torchmann.training.tensorboard import event_log
from torchmann.training.threads import with_threads


@dataclass(frozen=True)
class EnsembleOutcome:
    """How an ensemble ended.

    Attributes:
        directory: of the ensemble.
        iteration: training steps of the member that has done most.
        seconds: of training, evaluations on the way included.
        summary: of the members; None if training was interrupted.
    """

    directory: EnsembleDirectory
    iteration: int
    seconds: float
    summary: Summary | None


def train_ensemble(
    config: Config,
    seeds: int,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    stream: TextIO | None = None,
) -> EnsembleOutcome:
    """Train several seeds of `config` at once, in one process.

    Every member has a run's directory of its own, ``seed_0`` and so on, as `train_run` would have made it. A member
    that comes to a number that is not finite ends; the others go on.

    Args:
        config: of the first member; the seeds of the others follow its seed.
        seeds: how many members.
        output: directory of all; None makes a new one below ``runs``.
        overwrite: replace the ensemble that is in `output`.
        stream: where progress is shown; None is standard output.

    Raises:
        OptionError: no seed, a bad name or option, a feature that is trained one seed at a time, or an `output` that
            is taken.
        DataError: the task's data is missing or damaged.
        OSError: the directory cannot be written to.
    """
    require_positive(seeds=seeds)
    config = with_threads(config, lambda tried: training_of(tried).step, stream or sys.stdout)
    planned = EnsembleDirectory(default_path(config) if output is None else output, config, seeds)
    members = [training_of(of_member) for _, of_member in planned.members()]
    ensemble, stream = Ensemble(members), stream or sys.stdout
    directory = EnsembleDirectory.create(planned.path, config, seeds, overwrite=overwrite)
    with directory.in_use():
        count = sum(parameter.numel() for parameter in members[0].parameters)
        what = f"{config.model.name} ({count:,} parameters) on {config.task.name}"
        print(f"training {seeds} seeds of {what}: {directory.path}", file=stream)
        return _train_in(directory, ensemble, stream)


def resume_ensemble(
    path: str | Path,
    *,
    seeds: int | None = None,
    iterations: int | None = None,
    max_seconds: float | None = None,
    stream: TextIO | None = None,
) -> EnsembleOutcome:
    """Go on with an ensemble, each member from its newest good checkpoint; those that have ended are left as they are.

    Args:
        path: directory of the ensemble.
        seeds: how many members there are; None does not say.
        iterations: a new limit in place of that of the ensemble.
        max_seconds: likewise; the seconds of the earlier sessions count.
        stream: where progress is shown; None is standard output.

    Raises:
        OptionError: all members have ended, `seeds` is another number, or as `resume_run`.
        DataError: there is no ensemble, or as `resume_run`.
        OSError: the directory cannot be written to.
    """
    directory, stream = EnsembleDirectory.open(path), stream or sys.stdout
    if seeds is not None and seeds != directory.seeds:
        raise OptionError(
            f"{path} was trained with {directory.seeds} seeds, not {seeds}: leave --seeds out, or start a new ensemble."
        )
    limits = {"iterations": iterations, "max_seconds": max_seconds}
    changes: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    config = directory.config
    directory.config = replace(config, settings=replace(config.settings, **changes))
    ensemble = Ensemble([training_of(of_member) for _, of_member in directory.members()])
    with directory.in_use():
        restore_members(directory, ensemble, stream)
        if changes:
            directory.save_config()
            for member, of_member in directory.members():
                member.save_config(of_member)
        return _train_in(directory, ensemble, stream)


def restore_members(directory: EnsembleDirectory, ensemble: Ensemble, stream: TextIO) -> None:
    """Bring all members and their files to the state of their newest good checkpoints, if possible of one iteration.

    Raises:
        OptionError: there is nothing left to do.
    """
    told: set[str] = set()

    def tell(line: str) -> None:
        if line not in told:
            print(line, file=stream)
        told.add(line)

    runs = list(zip(ensemble.members, directory.members(), strict=True))
    checkpoints = [load_newest(training, member, of_member, tell) for training, (member, of_member) in runs]
    # A process killed while it wrote checkpoints has not written those of all members.
    first = min((training.iteration for training in ensemble.members if training.stopped is None), default=0)
    for place, (training, (member, of_member)) in enumerate(runs):
        if training.iteration > first and first in member.checkpoints.iterations():
            checkpoints[place] = load_newest(training, member, of_member, tell, first)
    going_on = [place for place, (training, (member, _)) in enumerate(runs) if not has_ended(training, member)]
    if not going_on and (directory.path / SUMMARY).is_file():
        raise OptionError(ended(directory.path, ensemble.iteration, "every seed"))
    for place in going_on:
        settle(directory.members()[place][0], checkpoints[place])
    print(f"going on with {directory.path} after iteration {ensemble.iteration}", file=stream)


def _train_in(directory: EnsembleDirectory, ensemble: Ensemble, stream: TextIO) -> EnsembleOutcome:
    """Train from where the members are to their ends, and keep all of it in their directories."""
    runs = directory.members()

    def keep_member(place: int) -> None:
        keep(runs[place][0], ensemble.members[place], runs[place][1])

    def failed(place: int, error: NotFiniteError) -> None:
        member, of_member = runs[place]
        try:
            with saving_the_case(member, of_member, ensemble.members[place].processes):
                raise error
        except FloatingPointError as told:
            print(f"seed {of_member.settings.seed}: {told}", file=stream)

    ensemble.keep, ensemble.failed = keep_member, failed
    with ExitStack() as stack:
        stack.enter_context(interruptible(ensemble))
        progress = stack.enter_context(ensemble_progress(ensemble, stream))
        logs = [
            stack.enter_context(event_log(member, training))
            for training, (member, _) in zip(ensemble.members, runs, strict=True)
        ]
        for place, measurement in ensemble:
            with resumable(runs[place][0]):
                runs[place][0].record(measurement)
                logs[place](measurement)
            progress.show(place, measurement)
    seconds, summary = ensemble.seconds, None
    if any(member.stopped == "interrupted" for member in ensemble.members):
        command = resumption(runs[0][0])
        print(f"stopped after iteration {ensemble.iteration}; go on with: {command}", file=stream)
    else:
        summary = _finish(directory, ensemble)
    return EnsembleOutcome(directory, ensemble.iteration, seconds, summary)


def _finish(directory: EnsembleDirectory, ensemble: Ensemble) -> Summary:
    """The final evaluation of every member that has none yet, and what they come to."""
    ended_members = []
    for place, (training, (member, of_member)) in enumerate(zip(ensemble.members, directory.members(), strict=True)):
        seconds = ensemble.seconds_of(place)
        if training.stopped != NOT_FINITE and not has_ended(training, member):
            finish(member, training, of_member.settings, seconds)
        ended_members.append(_ended_member(member, training, seconds))
    settings, metric = directory.config.settings, ensemble.members[0].task.metric
    summary = summarise(ended_members, metric, solvable=settings.solved_at is not None)
    directory.write_summary(summary)
    return summary


def _ended_member(directory: RunDirectory, training: Training, seconds: float) -> Member:
    scores = {} if training.stopped == NOT_FINITE else scores_in(directory.path)
    return Member(training.settings.seed, str(training.stopped), training.iteration, seconds, scores)
