"""Ensemble: runs that differ in their seed alone, trained together in one process.

Shapes: T time, B batch, O output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from torchmann.core.errors import OptionError
from torchmann.core.noise import draw_noise
from torchmann.core.state import Tree
from torchmann.tasks import Batch, Task
from torchmann.training.backward import Passed
from torchmann.training.ensemble_forward import ONE_BY_ONE, Call, Together
from torchmann.training.forensics import NotFiniteError
from torchmann.training.loop import Measurement, Training
from torchmann.training.streams import recurrent_body

NOT_FINITE = "not finite"
"""Why a member ended that came to a number that is not finite."""


class Ensemble:
    """Trains several members at once; iterate over it to train and to receive what is measured on the way.

    A member is a `Training` like any other: it has its own weights, batches, noise, loss, clipping, optimiser,
    schedules, curriculum, early stop and checkpoints, and comes to the numbers that it would come to by itself, but for
    rounding. All forward passes are one, and so are all backward passes. A member that has ended is left as it is.

    Example::

        ensemble = Ensemble([training_of(replace(config, settings=replace(config.settings, seed=seed)))
                             for seed in range(10)])
        for member, measurement in ensemble:
            print(member, measurement)

    Args:
        members: of one configuration; they may be at different iterations.
        keep: called with a member's place when a checkpoint of it is due. One is due of all members that have not ended
            before, as soon as one is due of any, so that all can go on from the same iteration.
        failed: called with a member's place and the error, if it comes to a number that is not finite, and the others
            go on; None raises the error.

    Raises:
        OptionError: there are none, they are not of one kind, or they are trained in a way that is one by one only.
    """

    def __init__(
        self,
        members: Sequence[Training],
        *,
        keep: Callable[[int], None] | None = None,
        failed: Callable[[int, NotFiniteError], None] | None = None,
    ) -> None:
        require_of_one_kind(members)
        for member in members:
            require_trainable_together(member)
            member.keep = self._ask_for_checkpoints
        self.members, self.keep, self.failed = list(members), keep, failed
        self._due = False
        self._seconds_at_end: dict[int, float] = {}
        self.together = Together([member.model for member in members])

    @property
    def running(self) -> list[int]:
        """The places of the members that have not ended."""
        return [place for place, member in enumerate(self.members) if member.stopped is None]

    @property
    def iteration(self) -> int:
        """Training steps of the member that has done most."""
        return max(member.iteration for member in self.members)

    @property
    def seconds(self) -> float:
        """Time since training started, evaluations included, of earlier sessions too."""
        return max(member.seconds for member in self.members)

    def seconds_of(self, place: int) -> float:
        """Time from the start of training to the end of a member."""
        return self._seconds_at_end.get(place, self.members[place].seconds)

    def interrupt(self) -> None:
        """Ask training to end after the iteration under way."""
        for member in self.members:
            member.interrupt()

    def __iter__(self) -> Iterator[tuple[int, Measurement]]:
        """Train until all members have ended; each measurement comes with the place of its member.

        Raises:
            NotFiniteError: a member's loss or parameter is not finite, and `failed` is None.
        """
        for place in self.running:
            self.members[place].start()
        while running := self.running:
            self.step()
            for place in running:
                with self._failing(place):
                    for measurement in self.members[place].conclude():
                        yield place, measurement
            if self._due:
                self._checkpoint(running)
            for place in set(running) - set(self.running):
                self._seconds_at_end[place] = self.members[place].seconds

    def step(self) -> None:
        """One iteration of every member that has not ended."""
        drawn = {}
        for place in self.running:
            task, batch = self.members[place].prepare()
            drawn[place] = task, batch.to(self.members[place].device)
        for place, passed in self.backward(drawn).items():
            task, batch = drawn[place]
            self.members[place].descend()
            self.members[place].count(task, batch, passed)

    def backward(self, drawn: Mapping[int, tuple[Task, Batch]]) -> dict[int, Passed]:
        """The backward passes of members as one: the gradients are added to those of each member's own parameters.

        A loss sees the output for its own batch only, so it is that of the member alone, whatever it is divided by.

        Args:
            drawn: the task of the iteration and its batch, on the device, by the place of the member.
        """
        calls = [_call(place, self.members[place], task, batch) for place, (task, batch) in drawn.items()]
        losses, passed = [], {}
        for (place, (task, batch)), (output_TBO, state) in zip(drawn.items(), self.together(calls), strict=True):
            member = self.members[place]
            backward = member.backward
            loss = backward.refreshing.loss(task, output_TBO, batch, backward.sample(member.iteration))
            if backward.carried.streams:
                backward.carried.keep(state)
            losses.append(loss)
            passed[place] = Passed(loss.detach(), output_TBO.detach(), batch, {})
        torch.stack(losses).sum().backward()
        return passed

    def _ask_for_checkpoints(self, member: Training) -> None:
        """A checkpoint of a member is due."""
        self._due = True

    def _checkpoint(self, places: Sequence[int]) -> None:
        """Checkpoints of members, but for those that came to a number that is not finite."""
        self._due = False
        for place in places:
            if self.keep and self.members[place].stopped != NOT_FINITE:
                with self._failing(place):
                    self.members[place].require_finite()
                    self.keep(place)

    @contextmanager
    def _failing(self, place: int) -> Iterator[None]:
        """Within this context a number that is not finite ends the member alone."""
        try:
            yield
        except NotFiniteError as error:
            if self.failed is None:
                raise
            self.members[place].stopped = NOT_FINITE
            self.failed(place, error)


def _call(place: int, member: Training, task: Task, batch: Batch) -> Call:
    """How a member calls its model for a batch."""
    carried = member.backward.carried
    carried.begin(task, member.iteration, batch.batch_size, "train")
    return Call(place, batch.inputs, _noise(member, batch), carried.options(batch), carried.streams)


def _noise(member: Training, batch: Batch) -> Tree:
    """A member's noise for a batch, from its own stream of random numbers."""
    cell, like = member.backward.cell, next(value for value in member.parameters if value.is_floating_point())
    spec = None if cell is None else cell.noise_spec(batch.batch_size)
    return draw_noise(spec, len(batch.inputs), generator=member.backward.noise, like=like.detach())


def require_of_one_kind(members: Sequence[Training]) -> None:
    """Raise `OptionError` unless there are members, with models that differ in the values of their tensors only."""
    if not members:
        raise OptionError("an ensemble needs at least one member, got none.")
    first, *others = [_form(member) for member in members]
    for place, form in enumerate(others, start=1):
        if form != first:
            raise OptionError(
                f"all members of an ensemble must have the same model on the same device, but member {place} differs "
                "from member 0: build them from one configuration."
            )


def _form(member: Training) -> Any:
    shapes = {name: (value.shape, value.dtype) for name, value in member.model.state_dict().items()}
    return str(member.model), shapes, member.device


def require_trainable_together(member: Training) -> None:
    """Raise `OptionError` where a member is trained in a way that is for one seed at a time."""
    one_by_one, body = "train the seeds one after another", recurrent_body(member.model)
    if body is None:
        name = type(member.model).__name__
        raise OptionError(
            f"several seeds at once need a model with a Recurrent body, and a {name} has none: {one_by_one}."
        )
    if body.engine in ONE_BY_ONE:
        raise OptionError(f"engine={body.engine!r} runs one seed at a time: use engine='auto', or {one_by_one}.")
    if member.settings.capture:
        raise OptionError(f"capture runs the iterations of one seed at a time: leave it out, or {one_by_one}.")
    if member.settings.truncate is not None:
        raise OptionError(f"truncate cuts the sequences of one seed at a time: leave it out, or {one_by_one}.")
    if member.backward.penalised:
        raise OptionError(f"this model accumulates penalties, for one seed at a time: use penalty=0, or {one_by_one}.")
    if member.processes.count > 1:
        raise OptionError("several seeds at once are trained by one process: start torchmann without torchrun.")
