"""Nth farthest: of labelled points, which is the n-th farthest from a given one?

Legend: T time (one point a step), B batch, D dimensions, O output (labels).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks import scoring
from torchmann.tasks.scoring import WordLoss
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request


class NthFarthest(Task):
    """Show labelled points; answer, at the last of them, the label of the n-th farthest from the one labelled m.

    Santoro et al. 2018; dam.md 4.4. Channels of every step: a point drawn uniformly from (-1, 1), its label, n, and m,
    the last three one-hot. n counts from 0, the farthest, to the number of points less one, which is m itself. That
    case alone lets a model that never compares distances be right two times in `vectors`.

    The held-out examples are few and fixed: the same for every seed.

    Args:
        vectors: Points of an example, and labels.
        dimensions: Coordinates of a point.
        held_out: Examples of the validation and of the test split.
        loss: ``word`` and ``episode``: mean over the examples; ``step``: mean over batch and time, so the same divided
            by `vectors`.
    """

    input_kind = "vector"
    target_kind = "classes"
    metric = "accuracy"
    references = ("rmc",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"dam": {"loss": "step"}}

    def __init__(self, vectors: int = 8, dimensions: int = 16, held_out: int = 3200, loss: WordLoss = "word") -> None:
        require_positive(vectors=vectors, dimensions=dimensions, held_out=held_out)
        scoring.require_normalisation(loss, WordLoss)
        if vectors < 2:
            raise OptionError(f"vectors must be at least 2, got {vectors}.")
        self.vectors, self.dimensions, self.held_out = vectors, dimensions, held_out
        self.normalisation = loss
        self.input_size = self.refresh_size = dimensions + 3 * vectors
        self.output_size = vectors
        self.story_steps = vectors - 1

    def batches(self, split: str, batch_size: int) -> int | None:
        """Batches that cover a held-out split once; None for training, which never ends."""
        require_request(0, batch_size, split)
        return None if split == "train" else -(-self.held_out // batch_size)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; the held-out splits do not depend on `seed`."""
        require_request(index, batch_size, split)
        if split == "train":
            return self._draw(batch_size, random_stream(seed, split, index))
        start = index * batch_size
        if start >= self.held_out:
            raise OptionError(
                f"split {split!r} has {self.held_out} examples, so no batch {index} of {batch_size}: batches() tells "
                "how many there are."
            )
        return self._draw(self.held_out, random_stream(0, split, 0)).rows(slice(start, start + batch_size))

    def _draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        steps, rows = self.vectors, torch.arange(batch_size)
        points_TBD = torch.rand(steps, batch_size, self.dimensions, generator=generator) * 2 - 1
        labels_TB = torch.rand(steps, batch_size, generator=generator).argsort(0)
        n_B, reference_B = torch.randint(steps, (2, batch_size), generator=generator)
        distances_TB = (points_TBD.double() - points_TBD[reference_B, rows].double()).square().sum(-1)
        answer_B = distances_TB.argsort(0, descending=True)[n_B, rows]

        asked_BF = F.one_hot(torch.stack([n_B, labels_TB[reference_B, rows]], 1), steps).flatten(1)
        inputs = torch.cat([points_TBD, F.one_hot(labels_TB, steps), asked_BF.expand(steps, -1, -1)], -1)
        answer_mask = torch.zeros(steps, batch_size, dtype=torch.bool)
        answer_mask[-1] = True
        return Batch(
            inputs=inputs,
            targets=labels_TB[answer_B, rows] * answer_mask,
            lengths=torch.full((batch_size,), steps),
            answer_mask=answer_mask,
            refresh_mask=torch.ones_like(answer_mask),
            refresh_target=inputs,
            refresh_kind="l2",
            first_answer_step=steps - 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """As the keyword ``loss`` of the task says."""
        return scoring.divisor(batch.answer_mask, 1, self.normalisation)

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``accuracy``: the share of examples with the right label."""
        scoring.require_output(output_TBO, batch, self.output_size)
        right_TB = (output_TBO.argmax(-1) == batch.targets) & batch.answer_mask
        return {"accuracy": Score(right_TB.sum().float(), batch.answer_mask.sum().float())}
