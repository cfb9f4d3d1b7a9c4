"""Repeat copy: store a sequence of random bit vectors and give it back several times.

Legend: T time, B batch.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from torchmann.core.errors import OptionError
from torchmann.tasks.bits import BitTask, Episodes, draw_bits, draw_range, index_where, require_range
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Task


class RepeatCopy(BitTask):
    """Show L vectors, then a number R: answer the vectors R times and an end marker: L (R + 1) + 3 steps.

    Graves et al. 2014; dnc.md 6, armin.md 5.1. Input channels: the bits, the start marker, the number of
    repeats as ``(repeats - repeat_offset) / repeat_scale``. Output channels: the bits, the end marker.

    Args:
        bits: Width of a vector.
        min_length: Shortest sequence, in vectors.
        max_length: Longest sequence, in vectors (included).
        min_repeats: Fewest repeats.
        max_repeats: Most repeats (included).
        repeat_offset: Number of repeats that is shown as 0.
        repeat_scale: Difference in repeats that is shown as 1.
        loss: ``bit``: mean over the answered bits; ``step``: summed over the channels, mean over batch and
            padded time; ``episode``: summed over channels and answered steps, mean over the batch.
    """

    references = ("ntm",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        # Upper bounds 10 excluded; the offset is the released (max - min) / 2, the scale the standard
        # deviation of 1..10.
        "armin": {
            "bits": 8,
            "min_length": 1,
            "max_length": 9,
            "min_repeats": 1,
            "max_repeats": 9,
            "repeat_offset": 4.5,
            "repeat_scale": math.sqrt(8.25),
            "loss": "bit",
        },
        "dma": {
            "bits": 4,
            "min_length": 1,
            "max_length": 2,
            "min_repeats": 1,
            "max_repeats": 2,
            "repeat_offset": 0.0,
            "repeat_scale": 10.0,
            "loss": "episode",
        },
    }

    def __init__(
        self,
        bits: int = 4,
        min_length: int = 1,
        max_length: int = 4,
        min_repeats: int = 1,
        max_repeats: int = 3,
        repeat_offset: float = 0.0,
        repeat_scale: float = 10.0,
        loss: BitLoss = "bit",
    ) -> None:
        super().__init__(bits=bits, flags=2, target_flags=1, loss=loss)
        require_range("length", min_length, max_length)
        require_range("repeats", min_repeats, max_repeats)
        if not repeat_scale > 0:
            raise OptionError(f"repeat_scale must be above 0, got {repeat_scale}.")
        self.min_length, self.max_length = min_length, max_length
        self.min_repeats, self.max_repeats = min_repeats, max_repeats
        self.story_steps = max_length + 2
        self.repeat_offset, self.repeat_scale = repeat_offset, repeat_scale

    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """Step 0 is the start marker, 1..L the data, L+1 the count; then L R answers and the end marker."""
        length_B = draw_range(self.min_length, self.max_length, batch_size, generator)
        repeats_B = draw_range(self.min_repeats, self.max_repeats, batch_size, generator)
        values_LBC = draw_bits(int(length_B.max()), batch_size, self.bits, generator)
        end_B = length_B * (repeats_B + 1) + 2  # the step of the end marker
        step_TB = torch.arange(int(end_B.max()) + 1).unsqueeze(1).expand(-1, batch_size)
        data_TB = (step_TB >= 1) & (step_TB <= length_B)
        answer_TB = (step_TB >= length_B + 2) & (step_TB < end_B)
        shown_repeats_B = (repeats_B - self.repeat_offset) / self.repeat_scale
        return Episodes(
            lengths_B=end_B + 1,
            values_LBC=values_LBC,
            input_index_TB=index_where(data_TB, step_TB - 1),
            target_index_TB=index_where(answer_TB, (step_TB - length_B - 2) % length_B),
            flags_TBF=torch.stack([(step_TB == 0).float(), (step_TB == length_B + 1) * shown_repeats_B], -1),
            target_flags_TBG=(step_TB == end_B).float().unsqueeze(-1),
            refresh_mask_TB=data_TB,
        )

    def longer(self) -> dict[str, Task]:
        """Exactly twice the longest trained length, and twice the most repeats."""
        length, repeats = 2 * self.max_length, 2 * self.max_repeats
        return {
            f"length {length}": self._resized(length, length, self.min_repeats, self.max_repeats),
            f"repeats {repeats}": self._resized(self.min_length, self.max_length, repeats, repeats),
        }

    def _resized(self, min_length: int, max_length: int, min_repeats: int, max_repeats: int) -> RepeatCopy:
        sizes = (min_length, max_length, min_repeats, max_repeats)
        return RepeatCopy(self.bits, *sizes, self.repeat_offset, self.repeat_scale, self.normalisation)
