"""Tally: losses and scores added up batch by batch, and read out at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmann.tasks import Score
from torchmann.training.processes import Processes


class Means(NamedTuple):
    """What a tally comes to: mean loss, mean scores (without those of which nothing was scored), every loss."""

    loss: float
    scores: dict[str, float]
    losses: list[float]


class Tally:
    """Adds up on the device; only `means` waits for it. In the loss a batch counts with its number of rows.

    Args:
        processes: those of the run; each tallies its own share of a batch, `means` adds the shares up.
    """

    def __init__(self, processes: Processes | None = None) -> None:
        self.processes = processes or Processes()
        self._losses: list[Tensor] = []
        self._rows: list[int] = []
        self._scores: dict[str, Score] = {}

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, loss: Tensor, scores: Mapping[str, Score], rows: int) -> None:
        """Count one batch."""
        self._losses.append(loss.detach())
        self._rows.append(rows)
        for name, score in scores.items():
            before = self._scores.get(name)
            if before is not None:
                score = Score(before.total + score.total, before.weight + score.weight)
            self._scores[name] = score

    def means(self) -> Means:
        """The means over all that was added, which must be at least one batch."""
        sums = [part for score in self._scores.values() for part in score]
        together = torch.stack([value.double() for value in (*self._losses, *sums)])
        numbers = self.processes.add(together).tolist()
        losses, sums_read = numbers[: len(self)], numbers[len(self) :]
        loss = sum(rows * value for rows, value in zip(self._rows, losses, strict=True)) / sum(self._rows)
        pairs = zip(self._scores, sums_read[::2], sums_read[1::2], strict=True)
        return Means(loss, {name: total / weight for name, total, weight in pairs if weight}, losses)

    def state_dict(self) -> dict[str, Any]:
        """What was added in all processes."""
        return {
            "losses": [self.processes.add(loss.clone()) for loss in self._losses],
            "rows": list(self._rows),
            "scores": {
                name: tuple(self.processes.add(part.clone()) for part in score) for name, score in self._scores.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from `state`; of several processes the first one takes all of it, the others nothing."""

        def mine(value: Tensor) -> Tensor:
            return value.to(device, copy=True) if self.processes.first else torch.zeros_like(value, device=device)

        self._losses = [mine(loss) for loss in state["losses"]]
        self._rows = list(state["rows"])
        self._scores = {name: Score(*map(mine, parts)) for name, parts in state["scores"].items()}
