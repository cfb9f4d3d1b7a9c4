"""Some rows or steps of a batch."""

from __future__ import annotations

import pytest
import torch

from torchmann.tasks import Batch, Copy


@pytest.fixture
def batch() -> Batch:
    return Copy(bits=2, min_length=1, max_length=4).batch(0, 6, seed=0)


def test_rows_are_what_they_were(batch: Batch) -> None:
    parts = [batch.rows(slice(0, 2)), batch.rows(slice(2, 6))]
    for name in ("inputs", "targets", "answer_mask", "refresh_mask", "refresh_target"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts], dim=1), getattr(batch, name))
    assert torch.equal(torch.cat([part.lengths for part in parts]), batch.lengths)
    assert parts[0].first_answer_step == batch.first_answer_step, "that of all rows, so that all decode alike"


def test_steps_are_what_they_were(batch: Batch) -> None:
    steps = len(batch.inputs)
    parts = [batch.steps(0, 3), batch.steps(3, 5), batch.steps(5, steps)]
    for name in ("inputs", "targets", "answer_mask", "refresh_mask", "refresh_target"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    for part, (start, stop) in zip(parts, [(0, 3), (3, 5), (5, steps)], strict=True):
        left = (batch.lengths - start).clamp(max=stop - start)
        assert torch.equal(part.lengths, left.clamp(min=1)), "a row that has ended keeps a step of its padding"
        assert part.first_answer_step == max(0, batch.first_answer_step - start)
