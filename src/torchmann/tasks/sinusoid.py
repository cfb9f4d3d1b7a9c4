"""Sinusoid regression: read points of a sine wave and go on with it.

Legend: T time, B batch, I input, O output.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks import scoring
from torchmann.tasks.bits import draw_range, require_range
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request


class Sinusoid(Task):
    """Show points (x, y) of y = 5 + A sin(2 pi f x + phi), then ask for the y of the points that follow.

    Le et al. 2019, figure 3; dnc.md 5. A in [1, 5], f in [10, 30] and phi in [0, 100] are drawn for each sequence, the
    places x_t = (t + e) / 1000 with e in [-1, 1] for each point t = 1, 2, ...; all uniformly. Input channels: x, y, and
    1 as long as points are given.

    Args:
        given: Points that are shown.
        min_asked: Fewest points that are asked for; at least 2, for one has no variance that could be explained.
        max_asked: Most points that are asked for (included).
        noise: Noise on each y that is shown, uniform from -noise to noise; the paper's noisy form has 2. Answers
            are without it.
        show_x: Show the x of the points that are asked for; without it their inputs are zero. The paper does not
            tell. The answer is determined only with it, for the places are irregular.
    """

    input_kind = "vector"
    target_kind = "values"
    metric = "explained_variance"
    references = ("uw",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"uw": {"given": 100, "min_asked": 100, "max_asked": 100}}

    input_size = 3
    output_size = 1

    def __init__(
        self,
        given: int = 50,
        min_asked: int = 20,
        max_asked: int = 20,
        noise: float = 0.0,
        show_x: bool = True,
    ) -> None:
        require_positive(given=given)
        require_range("asked", min_asked, max_asked, at_least=2)
        if not noise >= 0:
            raise OptionError(f"noise must be at least 0, got {noise}.")
        self.given, self.min_asked, self.max_asked = given, min_asked, max_asked
        self.noise, self.show_x = noise, show_x
        self.story_steps = given

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; every (seed, split, index) is its own random stream and no split ends."""
        require_request(index, batch_size, split)
        generator = random_stream(seed, split, index)
        lengths_B = self.given + draw_range(self.min_asked, self.max_asked, batch_size, generator)
        steps = int(lengths_B.max())
        x_TB, y_TB = draw_points(steps, batch_size, generator)
        step_TB = torch.arange(steps).unsqueeze(1).expand(-1, batch_size)
        given_TB = step_TB < self.given
        asked_TB = ~given_TB & (step_TB < lengths_B)
        noise_TB = self.noise * _uniform(-1, 1, (steps, batch_size), generator)
        shown_x_TB = x_TB * (given_TB | asked_TB if self.show_x else given_TB)
        shown_y_TB = (y_TB + noise_TB) * given_TB
        return Batch(
            inputs=torch.stack([shown_x_TB, shown_y_TB, given_TB], dim=-1).float(),
            targets=(y_TB * asked_TB).unsqueeze(-1).float(),
            lengths=lengths_B,
            answer_mask=asked_TB,
            refresh_mask=given_TB,
            refresh_target=shown_y_TB.unsqueeze(-1).float(),
            refresh_kind="l2",
            first_answer_step=self.given,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Squared error."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return (output_TBO.float() - batch.targets).square().sum(-1)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of points that are asked for."""
        return batch.answer_mask.sum().clamp(min=1)

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``explained_variance`` and ``mean_squared_error``; see `scoring.value_scores`."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.value_scores(output_TBO, batch.targets, batch.answer_mask)

    def longer(self) -> dict[str, Task]:
        """Twice and four times as many points to go on."""
        counts = (2 * self.max_asked, 4 * self.max_asked)
        return {f"asked {count}": Sinusoid(self.given, count, count, self.noise, self.show_x) for count in counts}


def draw_points(steps: int, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points of a wave for each row: x and y, both ``[steps, batch_size]`` float64."""
    amplitude_B = _uniform(1, 5, (batch_size,), generator)
    frequency_B = _uniform(10, 30, (batch_size,), generator)
    phase_B = _uniform(0, 100, (batch_size,), generator)
    place_T1 = torch.arange(1, steps + 1).unsqueeze(1)
    x_TB = (place_T1 + _uniform(-1, 1, (steps, batch_size), generator)) / 1000
    return x_TB, 5 + amplitude_B * torch.sin(2 * math.pi * frequency_B * x_TB + phase_B)


def _uniform(low: float, high: float, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(size, generator=generator, dtype=torch.float64)
