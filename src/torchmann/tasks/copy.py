"""Copy: store a sequence of random bit vectors and give it back.

Legend: T time, B batch.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from torchmann.tasks.bits import Episodes, FlaggedBitTask, draw_bits, draw_range, index_where, require_range
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Task


class Copy(FlaggedBitTask):
    """Show L vectors between a start flag and an end flag, then ask for them in order: 2 L + 2 steps.

    Graves et al. 2014; dam.md 4.1, armin.md 5.1, ntm.md 6.

    Args:
        bits: Width of a vector.
        min_length: Shortest sequence, in vectors.
        max_length: Longest sequence, in vectors (included).
        flag_targets: Give the output two channels for the flags as well, with target 0.
        flags_first: Put the flag channels before the data channels.
        loss: ``bit``: mean over the answered bits; ``step``: summed over the channels, mean over batch and
            padded time; ``episode``: summed over channels and answered steps, mean over the batch.
    """

    references = ("ntm",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "dam": {"bits": 8, "min_length": 8, "max_length": 32, "flag_targets": True, "loss": "step"},
        # The released generator excludes the upper bound: 1..49 for "length 1-50".
        "armin": {"bits": 8, "min_length": 1, "max_length": 49, "loss": "bit"},
        "ntm": {
            "bits": 8,
            "min_length": 1,
            "max_length": 20,
            "flag_targets": True,
            "flags_first": True,
            "loss": "episode",
        },
    }

    def __init__(
        self,
        bits: int = 6,
        min_length: int = 1,
        max_length: int = 6,
        flag_targets: bool = False,
        flags_first: bool = False,
        loss: BitLoss = "bit",
    ) -> None:
        super().__init__(bits=bits, flag_targets=flag_targets, flags_first=flags_first, loss=loss)
        require_range("length", min_length, max_length)
        self.min_length = min_length
        self.max_length = max_length
        self.story_steps = max_length + 2

    def draw(self, batch_size: int, generator: torch.Generator) -> Episodes:
        """Step 0 is the start flag, 1..L the data, L+1 the end flag, L+2..2L+1 the answer."""
        length_B = draw_range(self.min_length, self.max_length, batch_size, generator)
        values_LBC = draw_bits(int(length_B.max()), batch_size, self.bits, generator)
        lengths_B = 2 * length_B + 2
        step_TB = torch.arange(int(lengths_B.max())).unsqueeze(1).expand(-1, batch_size)
        data_TB = (step_TB >= 1) & (step_TB <= length_B)
        answer_TB = (step_TB >= length_B + 2) & (step_TB < lengths_B)
        flags_TBF, target_flags_TBG = self._flags(step_TB == 0, step_TB == length_B + 1)
        return Episodes(
            lengths_B=lengths_B,
            values_LBC=values_LBC,
            input_index_TB=index_where(data_TB, step_TB - 1),
            target_index_TB=index_where(answer_TB, step_TB - length_B - 2),
            flags_TBF=flags_TBF,
            target_flags_TBG=target_flags_TBG,
            refresh_mask_TB=data_TB,
        )

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the longest trained length."""
        return {f"length {n}": self._at_length(n) for n in (2 * self.max_length, 4 * self.max_length)}

    def _at_length(self, length: int) -> Copy:
        return Copy(self.bits, length, length, self.flag_targets, self.flags_first, self.normalisation)
