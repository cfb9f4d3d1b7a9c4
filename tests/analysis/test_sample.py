from __future__ import annotations

import pytest
import torch
from tests.analysis.stories import Stories
from tests.training.tiny import tiny_config

from torchmann import models
from torchmann.analysis import record_sample
from torchmann.analysis.sample import Sample
from torchmann.tasks import Copy


def recorded(model: str, **options: int) -> Sample:
    body = models.build(model, input_kind="vector", input_size=4, output_size=2, hidden_size=8, **options)
    return record_sample(body, Copy(bits=2, max_length=3))


def test_a_sample_is_what_the_model_computes_on_that_sequence() -> None:
    config = tiny_config("lstm")
    task = config.build_task()
    model = config.build_model(task)
    sample = record_sample(model, task)
    with torch.no_grad():
        output, _ = model(sample.inputs_TI.unsqueeze(1))
    torch.testing.assert_close(sample.probabilities_TO, output.squeeze(1).sigmoid())
    assert len(sample.inputs_TI) == 6, "the longest sequence of two vectors and two flags"
    assert sample.answer_T.tolist() == [False] * 4 + [True] * 2


def test_every_head_of_a_memory_has_its_weights() -> None:
    sample = recorded("dnc", slots=5, width=4, reads=2)
    assert list(sample.internals) == ["write weights", "read weights, head 1", "read weights, head 2", "usage"]
    assert all(value.shape == (8, 5) for value in sample.internals.values())
    assert not torch.equal(sample.internals["read weights, head 1"], sample.internals["read weights, head 2"])


def test_every_block_of_a_distributed_memory_has_its_weights() -> None:
    sample = recorded("dam", slots=5, width=4, blocks=2, reads=2)
    heads = [f"read weights, block {block}, head {head}" for block in (1, 2) for head in (1, 2)]
    blocks = [[f"{what}, block {block}" for block in (1, 2)] for what in ("write weights", "usage")]
    assert list(sample.internals) == [*blocks[0], *heads, *blocks[1]]


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
def test_a_model_without_a_memory_shows_its_hidden_state(model: str) -> None:
    sample = recorded(model)
    assert list(sample.internals) == ["hidden state"] and sample.internals["hidden state"].shape == (8, 8)


def test_an_ntm_has_no_usage() -> None:
    assert list(recorded("ntm", slots=5, width=4).internals) == ["write weights", "read weights"]


def test_a_memory_that_rests_is_shown_at_every_step() -> None:
    sample = recorded("dnc", slots=5, width=4, writing="uniform:3")
    assert {name: len(value) for name, value in sample.internals.items()} == {
        "write weights": 8,
        "read weights": 8,
        "usage": 8,
    }


def test_the_share_of_right_answers() -> None:
    answer_T = torch.tensor([False, True, True])
    targets_TO = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    probabilities_TO = torch.tensor([[0.9, 0.9], [0.9, 0.1], [0.4, 0.6]])
    bits = Sample(torch.zeros(3, 1), targets_TO, probabilities_TO, answer_T, {}, ())
    assert bits.accuracy() == 0.75
    words = Sample(torch.zeros(3), torch.tensor([0, 1, 0]), probabilities_TO, answer_T, {}, ("a", "b"))
    assert words.accuracy() == 0.0
    words = Sample(torch.zeros(3), torch.tensor([0, 0, 0]), probabilities_TO, answer_T, {}, ("a", "b"))
    assert words.accuracy() == 0.5


def test_a_story_is_the_shortest_and_has_its_words() -> None:
    task = Stories()
    model = models.build("lstm", input_kind="tokens", input_size=4, output_size=4, hidden_size=8)
    sample = record_sample(model, task)
    assert sample.words == task.vocabulary and sample.inputs_TI.tolist() == [1, 3]
    torch.testing.assert_close(sample.probabilities_TO.sum(-1), torch.ones(2))
