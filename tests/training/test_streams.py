from __future__ import annotations

import pytest
import torch
from torch import nn

from torchmann import models
from torchmann.cells import LSTMCell
from torchmann.core import DataError, OptionError
from torchmann.engines import Recurrent
from torchmann.tasks import Copy, MarkovText
from torchmann.training.evaluate import evaluate
from torchmann.training.streams import Carried, cell_of, restored_state

CPU = torch.device("cpu")


def markov_model(task: MarkovText, name: str = "ntm") -> nn.Module:
    torch.manual_seed(0)
    return models.build(
        name,
        input_kind="tokens",
        input_size=task.input_size,
        output_size=task.output_size,
        **{"hidden_size": 6, "slots": 3, "width": 4},
    )


def test_a_task_that_is_no_stream_begins_anew_with_every_batch() -> None:
    task, carried = Copy(bits=2, max_length=2), Carried()
    for index in range(2):
        batch = task.batch(index, 3, seed=0)
        carried.begin(task, index, 3, "train")
        assert carried.options(batch).keys() == {"lengths", "decode_from"}
        assert carried.options(batch)["decode_from"] == batch.first_answer_step
        carried.keep(torch.zeros(3))


def test_a_stream_leaves_the_writing_policy_alone() -> None:
    task, carried = MarkovText(steps=5, length=100), Carried()
    carried.begin(task, 0, 2, "train")
    assert carried.options(task.batch(0, 2, seed=0)) | {"lengths": None} == {"lengths": None, "decode_from": None}
    carried.keep(torch.ones(2, requires_grad=True))
    carried.begin(task, 1, 2, "train")
    options = carried.options(task.batch(1, 2, seed=0), first=2)
    assert options["start"] == 7 and not options["state"].requires_grad


def test_evaluation_carries_the_state_too() -> None:
    """The loss of a held-out text in short batches is that of the text in one piece."""
    short, long = MarkovText(steps=4, length=410), MarkovText(steps=40, length=410)
    model = markov_model(short)
    pieces = evaluate(model, short, "test", batch_size=1, batches=10, device=CPU)
    whole = evaluate(model, long, "test", batch_size=1, batches=1, device=CPU)
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-5) and pieces.scores == pytest.approx(whole.scores)


def test_a_state_comes_back_from_its_leaves() -> None:
    model = markov_model(MarkovText())
    _, state = model(torch.zeros(3, 2, dtype=torch.int64))
    again = restored_state(model, state.flatten(), CPU)
    assert type(again) is type(state)
    for name, leaf in again.flatten().items():
        assert torch.equal(leaf, state.flatten()[name])


def test_a_state_of_another_model_is_refused() -> None:
    model = markov_model(MarkovText())
    with pytest.raises(DataError, match=r"the state with the leaves \['x'\] is of another model"):
        restored_state(model, {"x": torch.zeros(1)}, CPU)
    with pytest.raises(OptionError, match="a Linear has no Recurrent body"):
        restored_state(nn.Linear(1, 1), {}, CPU)


def test_the_cell_of_a_model() -> None:
    cell = LSTMCell(2, 3)
    assert cell_of(Recurrent(cell)) is cell and cell_of(nn.Linear(1, 1)) is None
    assert cell_of(models.SequenceModel(nn.Identity(), Recurrent(cell), nn.Identity())) is cell
