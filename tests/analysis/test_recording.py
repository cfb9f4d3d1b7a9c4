"""What a recorder saw of one sequence, complete or with gaps where a part rested."""

from __future__ import annotations

import pytest
import torch

from torchmann import models, tasks
from torchmann.analysis.recording import record_row, row_of, short_name

SIZES = {"hidden_size": 8, "slots": 5, "width": 4}


def row_and_model(model: str = "dnc", **options: object) -> tuple:
    task = tasks.make("copy", bits=3, min_length=3, max_length=3)
    built = models.build(
        model, input_kind="vector", input_size=task.input_size, output_size=task.output_size, **SIZES, **options
    )
    return built, task, row_of(task.batch(0, 4, seed=0), 2)


def test_a_row_is_one_sequence_cut_at_its_length() -> None:
    task = tasks.make("copy", bits=3, min_length=1, max_length=6)
    batch = task.batch(0, 8, seed=0)
    row = row_of(batch, 3)
    steps = int(batch.lengths[3])
    assert row.inputs.shape == (steps, 1, 5) and row.lengths.tolist() == [steps]
    assert torch.equal(row.targets[:, 0], batch.targets[:steps, 3])
    assert row.first_answer_step == batch.first_answer_step, "decoding begins as in the batch"


def test_the_recording_is_that_of_the_row_in_evaluation_mode() -> None:
    model, task, row = row_and_model()
    model.train()
    recording = record_row(model, task, row)
    output, state = model.eval()(row.inputs, lengths=row.lengths, decode_from=row.first_answer_step)
    torch.testing.assert_close(recording.output_TO, output[:, 0])
    torch.testing.assert_close(recording.internals["memory.memory"][-1], state.memory.memory[0])
    assert set(recording.kinds) == {"dense"} and len(recording.kinds) == len(row.inputs)
    assert not any("state" in name or "body" in name for name in recording.internals)


def test_a_memory_that_rests_has_a_state_but_no_gates() -> None:
    model, task, row = row_and_model(writing="uniform:2")
    recording = record_row(model, task, row)
    held = [step for step, kind in enumerate(recording.kinds) if kind == "hold"]
    assert held and "dense" in recording.kinds
    for name in ("memory.write_gate", "memory.allocation"):
        resting = recording.internals[name].flatten(1).isnan()
        assert resting.all(1).nonzero().flatten().tolist() == held and resting.any(1).sum() == len(held)
    for name in ("memory.usage", "memory.write_weights", "memory.memory"):
        assert recording.internals[name].isfinite().all(), "the state is there at held steps as well"


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("body.cell.memory.usage", "memory.usage"),
        ("body.cell.state.memory.usage", "memory.usage"),
        ("body.cell.state.memory.blocks.usage", "memory.usage"),
        ("body.cell.cells.0.memory.usage", "layers.0.memory.usage"),
        ("body.cell.state.layers.0.memory.usage", "layers.0.memory.usage"),
        ("body.cell.state.h", "h"),
    ],
)
def test_short_names(full: str, short: str) -> None:
    assert short_name(full) == short
