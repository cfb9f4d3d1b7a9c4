"""One backward pass: in one piece, in chunks, of a stream; refreshing and penalties included."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from tests.training.tiny import tiny_settings
from torch import Tensor, nn

from torchmann import models, tasks
from torchmann.core import Cell, state
from torchmann.engines import Recurrent
from torchmann.tasks import Batch, MarkovText, Task
from torchmann.training import Settings, Training
from torchmann.training.backward import Backward, Passed, chunks
from torchmann.training.processes import Processes

CPU = torch.device("cpu")
COPY = tasks.make("copy", bits=3, min_length=1, max_length=5)


def model_of(task: Task, name: str = "dnc", **options: Any) -> nn.Module:
    sizes = {"hidden_size": 8} if name == "lstm" else {"hidden_size": 8, "slots": 4, "width": 4}
    torch.manual_seed(0)
    output_size = task.output_size + task.refresh_size
    kind = {"input_kind": task.input_kind, "input_size": task.input_size, "output_size": output_size}
    return models.build(name, **kind, **{**sizes, **options})


def passed(model: nn.Module, task: Task, index: int = 0, rows: int = 4, **settings: Any) -> tuple[Passed, Backward]:
    backward = Backward(model, Settings(**settings), Processes(), CPU)
    model.zero_grad()
    return backward(task, task.batch(index, rows, seed=1), index), backward


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_chunks_cover_all_steps() -> None:
    assert chunks(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert chunks(6, 3) == [slice(0, 3), slice(3, 6)] and chunks(2, 9) == chunks(2, None) == [slice(0, 2)]


@pytest.mark.parametrize("writing", ["every", "uniform:3", "cached:3", "random:0.5"])
@pytest.mark.parametrize("truncate", [1, 2, 5])
def test_chunks_compute_what_the_whole_does(writing: str, truncate: int) -> None:
    """Rows of different lengths, and a writing policy that must go by the absolute step: output, loss, final state."""
    model = model_of(COPY, writing=writing)
    whole, kept = passed(model, COPY, refresh_probability=0.4)
    cut, carried = passed(model, COPY, refresh_probability=0.4, truncate=truncate)
    torch.testing.assert_close(cut.loss, whole.loss)
    torch.testing.assert_close(
        cut.output * whole.batch.answer_mask[..., None], whole.output * whole.batch.answer_mask[..., None]
    )
    for one, two in zip(carried.carried.state.flatten().values(), kept.carried.state.flatten().values(), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("refresh_probability", [0.0, 0.4])
def test_one_chunk_is_the_whole(refresh_probability: float) -> None:
    model = model_of(COPY)
    passed(model, COPY, refresh_probability=refresh_probability)
    whole = gradients(model)
    passed(model, COPY, refresh_probability=refresh_probability, truncate=100)
    cut = gradients(model)
    assert whole.keys() == cut.keys() and len(cut) > 5
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, rtol=1e-4, atol=1e-7)


def test_the_gradient_ends_where_a_chunk_begins() -> None:
    """Against the same by hand: detach between the chunks, one sum of losses over the divisor of the whole batch."""
    model = model_of(COPY)
    batch = COPY.batch(0, 4, seed=1)
    passed(model, COPY, truncate=4)
    ours = gradients(model)
    model.zero_grad()
    carried, loss = None, torch.zeros(())
    for start in range(0, len(batch.inputs), 4):
        inputs = batch.inputs[start : start + 4]
        output, carried = model(inputs, carried)
        part = batch.steps(start, start + len(inputs))
        loss = loss + (COPY.step_loss(output, part) * part.answer_mask).sum() / COPY.divisor(batch)
        carried = carried.detach()
    loss.backward()
    byhand = gradients(model)
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, byhand[name], rtol=1e-4, atol=1e-7)
    passed(model, COPY)
    assert any((gradients(model)[name] - gradient).abs().max() > 1e-4 for name, gradient in ours.items())


def test_chunks_in_which_nothing_is_asked_have_no_graph() -> None:
    """Ten vectors, then ten answers: the first chunks keep nothing for a backward pass, but with refreshing they do."""
    task = tasks.make("copy", bits=2, min_length=10, max_length=10)
    model, seen = model_of(task, "lstm"), []
    model.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    passed(model, task, truncate=5)
    assert seen == [False, False, True, True, True]
    seen.clear()
    passed(model, task, truncate=5, refresh_probability=0.5)
    assert seen == [True] * 5


def test_answers_in_late_chunks_are_learnt() -> None:
    """Two chunks: all is shown in the first one, all is asked in the second, no gradient comes across."""
    task = tasks.make("copy", bits=2, min_length=1, max_length=1)
    model = model_of(task, "lstm", hidden_size=24)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    settings = tiny_settings(truncate=3, batch_size=16, iterations=150, evaluate_every=150, log_every=50)
    *_, last = Training(model, task, optimiser, settings)
    assert last.split == "validation" and last.scores["bit_accuracy"] > 0.97


def test_a_stream_goes_on_from_batch_to_batch() -> None:
    """Batch after batch is the same as the text in one piece, steps counted through, the gradient cut."""
    task = MarkovText(symbols=4, steps=5, length=100)
    model = model_of(task, writing="cached:3")
    backward = Backward(model, Settings(), Processes(), CPU)
    outputs = [backward(task, task.batch(index, 3, seed=1), index).output for index in range(4)]
    assert backward.carried.start == 15 and not backward.carried.state.reads.requires_grad
    text = torch.cat([task.batch(index, 3, seed=1).inputs for index in range(4)])
    torch.testing.assert_close(torch.cat(outputs), model(text)[0])


def test_a_stream_begins_anew_with_its_text() -> None:
    task = MarkovText(symbols=4, steps=5, length=31)
    model = model_of(task)
    backward = Backward(model, Settings(), Processes(), CPU)
    first, *_ = [backward(task, task.batch(index, 3, seed=1), index).output for index in range(3)]
    assert task.position(2, 3) == 0
    torch.testing.assert_close(backward(task, task.batch(2, 3, seed=1), 2).output, first)


def test_a_stream_in_chunks_is_the_stream() -> None:
    task = MarkovText(symbols=4, steps=5, length=100)
    model = model_of(task, writing="uniform:3")
    whole, cut = (Backward(model, Settings(truncate=k), Processes(), CPU) for k in (None, 2))
    for index in range(3):
        batch = task.batch(index, 3, seed=1)
        torch.testing.assert_close(cut(task, batch, index).output, whole(task, batch, index).output)


@state
class Energies(NamedTuple):
    """A hidden vector, and the sum of its squares at all steps."""

    hidden: Tensor
    energy: Tensor


class Penalised(Cell):
    """``h = tanh(W x + U h)``, with a penalty on large hidden values."""

    def __init__(self, input_size: int, size: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, size
        self.linear = nn.Linear(input_size + size, size)

    def initial_state(self, batch_size: int) -> Energies:
        zeros = self.linear.weight.new_zeros
        return Energies(zeros(batch_size, self.output_size), zeros(batch_size))

    def penalties(self, state: Energies) -> dict[str, Tensor]:
        return {"energy": state.energy}

    def forward(self, x: Tensor, state: Energies, noise: Any = None) -> tuple[Tensor, Energies]:
        hidden = self.linear(torch.cat([x, state.hidden], -1)).tanh()
        return hidden, Energies(hidden, state.energy + hidden.square().sum(-1))


def penalised_model() -> nn.Module:
    torch.manual_seed(0)
    body = Recurrent(Penalised(COPY.input_size, 6))
    return models.SequenceModel(nn.Identity(), body, nn.Linear(6, COPY.output_size))


@pytest.mark.parametrize("truncate", [None, 3])
def test_penalties_are_added_to_the_loss(truncate: int | None) -> None:
    model = penalised_model()
    batch = COPY.batch(0, 4, seed=1)
    output, after = model(batch.inputs, lengths=batch.lengths)
    plain, _ = passed(model, COPY, truncate=truncate, penalty=0.0)
    weighed, _ = passed(model, COPY, truncate=truncate, penalty=0.5)
    energy = after.energy.mean()
    torch.testing.assert_close(plain.loss, COPY.loss(output, batch))
    torch.testing.assert_close(weighed.loss, plain.loss + 0.5 * energy)
    assert plain.penalties == {} and list(weighed.penalties) == ["penalty_energy"]
    total, weight = weighed.penalties["penalty_energy"]
    torch.testing.assert_close(total / weight, energy)


def test_the_penalty_of_a_step_is_taken_once() -> None:
    """With chunks of one step its gradient is that of the step alone, and all steps have one."""
    model = penalised_model()
    batch = COPY.batch(0, 4, seed=1)

    def energy_gradient(**settings: Any) -> dict[str, Tensor]:
        passed(model, COPY, **settings, penalty=0.0)
        without = gradients(model)
        passed(model, COPY, **settings, penalty=1.0)
        return {name: value - without.get(name, 0) for name, value in gradients(model).items()}

    model.zero_grad()
    carried = model.body.initial_state(4)
    for t in range(len(batch.inputs)):
        _, after = model(batch.inputs[t : t + 1], carried)
        grown = (after.energy - carried.energy.detach()) * (batch.lengths > t)
        grown.mean().backward()
        carried = after.detach()
    byhand = gradients(model)
    for name, value in energy_gradient(truncate=1).items():
        torch.testing.assert_close(value, byhand.get(name, torch.zeros_like(value)), rtol=1e-4, atol=1e-6)


def test_penalties_are_measured() -> None:
    model = penalised_model()
    settings = tiny_settings(iterations=2)
    measurements = list(Training(model, COPY, torch.optim.SGD(model.parameters(), lr=0.1), settings))
    assert measurements[0].scores["penalty_energy"] > 0 and "bit_accuracy" in measurements[0].scores


def test_a_task_without_step_losses_cannot_be_cut() -> None:
    class OnlyLoss(type(COPY)):  # type: ignore[misc]
        def divisor(self, batch: Batch) -> Tensor:
            return Task.divisor(self, batch)

    with pytest.raises(TypeError, match=r"OnlyLoss must define step_loss and divisor to be trained .* in chunks"):
        passed(model_of(COPY), OnlyLoss(bits=3), truncate=2)
