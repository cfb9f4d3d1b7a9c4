"""A task of tokens, small enough for a picture in no time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.tasks import Batch, Score, Task


class Stories(Task):
    """Row b is b + 1 times "mary", then "-", at which "mary" is the answer."""

    input_kind = "tokens"
    target_kind = "classes"
    input_size = output_size = 4
    metric = "word_accuracy"
    vocabulary = ("<pad>", "mary", "john", "-")

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        lengths_B = torch.arange(batch_size) % 5 + 2
        step_T1 = torch.arange(int(lengths_B.max())).unsqueeze(1)
        answer_TB = step_T1 == lengths_B - 1
        inputs_TB = (step_T1 < lengths_B).long() + 2 * answer_TB
        return Batch(inputs_TB, answer_TB.long(), lengths_B, answer_TB, answer_TB, inputs_TB, "tokens", 1)

    def loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(output_TBO[batch.answer_mask], batch.targets[batch.answer_mask])

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        right_TB = (output_TBO.argmax(-1) == batch.targets) & batch.answer_mask
        return {"word_accuracy": Score(right_TB.sum().float(), batch.answer_mask.sum().float())}
