"""MNIST pixel by pixel: a digit is read as a sequence, and named at its end.

Legend: T time, B batch, P pixels of a step, N images, O output.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.data.mnist import SIDE, load_mnist
from torchmann.tasks import scoring
from torchmann.tasks.examples import ExampleTask
from torchmann.tasks.task import Batch, Score

PIXELS = SIDE * SIDE


class PixelMnist(ExampleTask):
    """Read a digit pixel by pixel, row by row, and name it at the last step.

    A pixel is a number from 0 to 1. Of the 60,000 training images the last are kept for validation.

    Args:
        validation: Training images that are kept for validation.
        pixels_per_step: Pixels of a step: 1 for 784 steps, 28 for a row at each of 28 steps; it divides 784.
        data: The folder with the four files; by default the folder that downloads go to.
    """

    input_kind = "vector"
    target_kind = "classes"
    metric = "accuracy"
    output_size = 10
    classes = tuple("0123456789")
    references = ("mnist", "pixel_mnist")
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": {"validation": 10_000}}

    def __init__(self, validation: int = 5_000, pixels_per_step: int = 1, data: str | None = None) -> None:
        require_positive(pixels_per_step=pixels_per_step)
        if PIXELS % pixels_per_step:
            raise OptionError(f"pixels_per_step must divide {PIXELS}, got {pixels_per_step}; 28 is a row.")
        digits = load_mnist(data)
        train, test = digits["train"], digits["test"]
        known = len(train.labels)
        if not 0 <= validation < known:
            raise OptionError(f"validation must be at least 0 and below {known:,}, got {validation}.")
        rows = torch.arange(known + len(test.labels))
        kept = known - validation
        super().__init__({"train": rows[:kept], "validation": rows[kept:known], "test": rows[known:]})
        self.input_size = self.refresh_size = pixels_per_step
        self.steps = self.story_steps = PIXELS // pixels_per_step  # the step that answers shows pixels, too
        self._images = torch.cat([train.images, test.images])
        self._labels = torch.cat([train.labels, test.labels])

    def collate(self, rows_B: Tensor) -> Batch:
        """The images, in steps."""
        steps, batch_size = self.steps, len(rows_B)
        images_BTP = self._images[rows_B].view(batch_size, steps, self.input_size)
        inputs_TBP = (images_BTP.transpose(0, 1) / 255).contiguous()
        last_TB = torch.zeros(steps, batch_size, dtype=torch.bool)
        last_TB[-1] = True
        return Batch(
            inputs=inputs_TBP,
            targets=last_TB * self._labels[rows_B].long(),
            lengths=torch.full((batch_size,), steps),
            answer_mask=last_TB,
            refresh_mask=torch.ones_like(last_TB),
            refresh_target=inputs_TBP,
            refresh_kind="l2",
            first_answer_step=steps - 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats) of the digit."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of images."""
        return scoring.divisor(batch.answer_mask, 1, "word")

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``accuracy``, and ``cross_entropy`` in nats per image; low is good."""
        scoring.require_output(output_TBO, batch, self.output_size)
        scores = scoring.class_scores(output_TBO, batch.targets, batch.answer_mask)
        return {"accuracy": scores["position_accuracy"], "cross_entropy": scores["cross_entropy"]}


class PermutedMnist(PixelMnist):
    """Read a digit pixel by pixel in one fixed random order, and name it at the last step.

    The order is that of ``numpy.random.RandomState(permutation_seed).permutation(784)``. Papers use different orders,
    and their results compare only as far as that does not matter.

    Args:
        validation: Training images that are kept for validation.
        permutation_seed: Of the order of the pixels; it is another thing than the seed of a run.
        pixels_per_step: Pixels of a step, in the random order, too: 1 for 784 steps; it divides 784.
        data: The folder with the four files; by default the folder that downloads go to.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "armin": {"validation": 6_000, "permutation_seed": 1},
        "uw": {"validation": 10_000},  # its order of the pixels is not published
        "dilated": {"validation": 5_000, "permutation_seed": 92916},
    }

    def __init__(
        self,
        validation: int = 5_000,
        permutation_seed: int = 1,
        pixels_per_step: int = 1,
        data: str | None = None,
    ) -> None:
        if not 0 <= permutation_seed < 2**32:
            raise OptionError(f"permutation_seed must be at least 0 and below 2^32, got {permutation_seed}.")
        super().__init__(validation, pixels_per_step, data)
        self.permutation = torch.from_numpy(np.random.RandomState(permutation_seed).permutation(PIXELS))
        self._images = self._images[:, self.permutation]
