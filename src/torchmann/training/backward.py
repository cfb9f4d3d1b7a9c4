"""The backward pass of a batch: all at once, or chunk by chunk (truncated back-propagation through time).

Shapes: T time, B batch, O output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.noise import draw_noise
from torchmann.core.state import Tree, map_leaves, named_leaves, where_rows
from torchmann.tasks import Batch, Score, Task
from torchmann.training.processes import Processes
from torchmann.training.refreshing import Refreshing, StepWeights
from torchmann.training.seeds import noise_generator, refreshing_stream
from torchmann.training.settings import Settings
from torchmann.training.streams import Carried, cell_of, restored_state


class Passed(NamedTuple):
    """What a backward pass leaves beside the gradients; of several processes each has its own part."""

    loss: Tensor  # 0-dim; the parts add up
    output: Tensor  # [T, B, O], detached
    batch: Batch  # the rows that were passed
    penalties: dict[str, Score]


class Backward:
    """Adds the gradients of a batch's loss to those of the parameters.

    The loss is the task's, with memory refreshing, plus the mean over the rows of each penalty of the cell.

    With ``truncate=k`` a sequence is cut into chunks of k steps. The state goes on from chunk to chunk, the gradient
    does not. The sum of a chunk's step losses is divided by the divisor of the *whole* batch, so that the losses of
    the chunks add up to the loss of the sequence in one piece, and their gradients to that of one step of the
    optimiser: k decides how far back a gradient reaches and how much memory it takes, and nothing else. Chunks before
    the first answer have no loss and are run without a graph, if nothing is reproduced or penalised. The steps are
    counted through: a writing policy decides as it would for the whole sequence.

    Args:
        model: what is trained.
        settings: of the run.
        processes: those of the run; each passes its share of the rows.
        device: where the model is.
    """

    def __init__(self, model: nn.Module, settings: Settings, processes: Processes, device: torch.device) -> None:
        self.model, self.settings, self.processes, self.device = model, settings, processes, device
        self.refreshing = Refreshing(settings.refresh_probability, settings.refresh_gamma, settings.refresh_floor)
        self.noise = noise_generator(settings.seed, device)
        self.carried = Carried()
        self.cell = cell_of(model)
        self.penalised = bool(settings.penalty and self.cell and self.cell.penalties(self.cell.initial_state(1)))

    def __call__(self, task: Task, batch: Batch, iteration: int) -> Passed:
        """Pass the batch of an iteration.

        Args:
            task: gives the loss.
            batch: the whole batch of all processes, on the device.
            iteration: its index.
        """
        self.carried.begin(task, iteration, batch.batch_size, "train")
        before = self.carried.state
        sample = self.sample(iteration)
        if self.settings.truncate is None and self.processes.count == 1:
            loss, output_TBO = self._whole(task, batch, sample)
        else:
            weights = self.refreshing.weigh(task, batch, sample)
            rows = self.processes.share(batch.batch_size)
            parts = [
                self._chunk(task, batch, steps, rows, weights.part(steps, rows))
                for steps in chunks(len(batch.inputs), self.settings.truncate)
            ]
            loss, output_TBO = torch.stack([part[0] for part in parts]).sum(), torch.cat([part[1] for part in parts])
            batch = batch.rows(rows)
        grown = self._penalties(before, self.carried.state)
        scores = {f"penalty_{name}": Score(value_B.sum(), torch.ones_like(value_B).sum()) for name, value_B in grown}
        return Passed(loss, output_TBO, batch, scores)

    def sample(self, iteration: int) -> torch.Generator | None:
        """What decides which steps of an iteration are reproduced; None is without refreshing."""
        if not self.refreshing.probability:
            return None
        return refreshing_stream(self.settings.seed, iteration, self.device)

    def _whole(self, task: Task, batch: Batch, sample: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """All rows and steps in one piece: the loss and the output."""
        output_TBO, state = self.model(batch.inputs, generator=self.noise, **self.carried.options(batch))
        loss = self.refreshing.loss(task, output_TBO, batch, sample)
        if self.penalised:
            loss = loss + self._penalty(state)
        loss.backward()
        self.carried.keep(state)
        return loss.detach(), output_TBO.detach()

    def _chunk(
        self, task: Task, batch: Batch, steps: slice, rows: slice, weights: StepWeights
    ) -> tuple[Tensor, Tensor]:
        """Some rows and steps of a batch, on from the carried state: their part of the loss, and their output."""
        silent = steps.stop <= batch.first_answer_step and not self.refreshing.probability and not self.penalised
        chunk, before = batch.rows(rows).steps(steps.start, steps.stop), self.carried.state
        running_B = batch.lengths[rows] > steps.start
        options = self.carried.options(chunk, steps.start) | self._noise(batch.batch_size, steps, rows)
        with torch.set_grad_enabled(not silent):
            output_TBO, state = self.model(chunk.inputs, **options)
            if not running_B.all():  # what is left of the other rows is padding, which must not reach their state
                state = where_rows(running_B.to(self.device), state, before)
            loss = weights.loss(task, output_TBO, chunk)
            if self.penalised:
                loss = loss + self._penalty(state)
        if not silent:
            loss.backward()
        self.carried.keep(state)
        return loss.detach(), output_TBO.detach()

    def _noise(self, batch_size: int, steps: slice, rows: slice) -> dict[str, Any]:
        """How the model comes by its noise: several processes draw that of all rows, and take their own."""
        spec = None if self.cell is None else self.cell.noise_spec(batch_size)
        if self.processes.count == 1 or spec is None:
            return {"generator": self.noise}
        like = next(parameter for parameter in self.model.parameters() if parameter.is_floating_point())
        noise = draw_noise(spec, steps.stop - steps.start, generator=self.noise, like=like)
        return {"noise": map_leaves(lambda leaf: leaf[:, rows], noise)}

    def _penalty(self, state: Tree) -> Tensor:
        """What the penalties add to the loss: what they have grown by since the carried state, mean over all rows."""
        grown = torch.stack([value_B.mean() for _, value_B in self._penalties(self.carried.state, state)])
        return grown.sum() * (self.settings.penalty / self.processes.count)

    def _penalties(self, before: Tree, after: Tree) -> list[tuple[str, Tensor]]:
        """What each penalty ``[B]`` has grown by from one state to another; None is the beginning, where all are 0."""
        if self.cell is None or not self.penalised:
            return []
        earlier = {} if before is None else self.cell.penalties(before)
        return [(name, value_B - earlier.get(name, 0)) for name, value_B in self.cell.penalties(after).items()]

    def state_dict(self) -> dict[str, Any]:
        """The position of the noise, and the state that a stream carries in all processes."""
        carried = self.processes.gather_rows(self.carried.state) if self.carried.streams else None
        leaves = None if carried is None else dict(named_leaves(carried))
        return {"noise": self.noise.get_state(), "carried": leaves}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there, with this process's share of the carried rows.

        Raises:
            DataError: the carried state is of another model.
        """
        if len(state["noise"]) == len(self.noise.get_state()):  # else of another kind of device: it begins anew
            self.noise.set_state(state["noise"])
        self.carried = Carried()
        if state["carried"] is not None:
            all_rows = restored_state(self.model, state["carried"], self.device)
            self.carried.streams = True
            self.carried.state = map_leaves(lambda leaf: leaf[self.processes.share(len(leaf))], all_rows)


def chunks(steps: int, length: int | None) -> list[slice]:
    """`steps` steps cut into chunks of `length`, the last of which may be shorter; None leaves them in one piece."""
    length = steps if length is None else length
    return [slice(start, min(start + length, steps)) for start in range(0, steps, length)]
