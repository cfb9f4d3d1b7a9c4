from __future__ import annotations

import torch
from tests.analysis.stories import Stories
from tests.training.tiny import tiny_config

from torchmann import models
from torchmann.analysis import record_sample
from torchmann.analysis.sample import Answers, Sample, record, telling_rows
from torchmann.tasks import AssociativeRecall, Copy, MarkovText


def recorded(model: str, **options: int) -> Sample:
    body = models.build(model, input_kind="vector", input_size=4, output_size=2, hidden_size=8, **options)
    return record_sample(body, Copy(bits=2, max_length=3))


def test_a_sample_is_what_the_model_computes_on_that_sequence() -> None:
    config = tiny_config("lstm")
    task = config.build_task()
    model = config.build_model(task)
    sample = record_sample(model, task)
    with torch.no_grad():
        output, _ = model(sample.inputs.unsqueeze(1))
    torch.testing.assert_close(sample.answers.given_TO, output.squeeze(1).sigmoid())
    assert len(sample.inputs) == 6, "the longest sequence of two vectors and two flags"
    assert sample.answers.asked_T.tolist() == [False] * 4 + [True] * 2


def test_everything_recorded_is_kept() -> None:
    sample = recorded("dnc", slots=5, width=4, reads=2)
    assert sample.internals["memory.read_weights"].shape == (8, 2, 5)
    assert sample.internals["memory.link"].shape == (8, 1, 5, 5) and sample.internals["controller.h"].shape == (8, 8)
    assert sample.kinds == ("dense",) * 8 and sample.reproduced is None


def test_the_worst_sequence_comes_after_the_telling_one() -> None:
    body = models.build("lstm", input_kind="vector", input_size=4, output_size=2, hidden_size=8)
    task = Copy(bits=2, max_length=3)
    rows = telling_rows(body, task)
    telling, *worst = [record(body, task, row).answers.accuracy() for row in rows]
    assert len(rows[0].inputs) == 8 and all(accuracy < telling for accuracy in worst)


def test_memory_refreshing_reproduces_inputs() -> None:
    body = models.build("lstm", input_kind="vector", input_size=4, output_size=2, hidden_size=8)
    reproduced = record_sample(body, Copy(bits=2, max_length=3), refreshed=True).reproduced
    assert reproduced is not None and reproduced.alphabet == "bits"
    assert reproduced.asked_T.tolist() == [False, True, True, True, False, False, False, False]
    wide = models.build("dnc", input_kind="vector", input_size=5, output_size=6, hidden_size=8, slots=4, width=4)
    recall = AssociativeRecall(bits=3, max_items=2)
    sample = record_sample(wide, recall, refreshed=True)
    assert not torch.equal(sample.answers.given_TO, sample.reproduced.given_TO), "other channels reproduce"
    assert sample.answers.given_TO.shape[-1] == 3 and sample.reproduced.given_TO.shape[-1] == 3


def test_a_stream_follows_its_writing_policy() -> None:
    task = MarkovText(symbols=4, steps=6)
    body = models.build(
        "dnc", input_kind="tokens", input_size=4, output_size=4, hidden_size=8, slots=4, width=4, writing="uniform:2"
    )
    assert record_sample(body, task).kinds == ("hold", "dense") * 3


def test_the_share_of_right_answers() -> None:
    answer_T = torch.tensor([False, True, True])
    targets_TO = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    probabilities_TO = torch.tensor([[0.9, 0.9], [0.9, 0.1], [0.4, 0.6]])
    bits = Answers("bits", targets_TO, probabilities_TO, answer_T)
    assert bits.accuracy() == 0.75 and bits.wrong().nonzero().tolist() == [[2, 0]]
    assert bits.right().sum() == 3
    words = Answers("words", torch.tensor([0, 1, 0]), probabilities_TO, answer_T)
    assert words.accuracy() == 0.0 and words.wrong().tolist() == [False, True, True]
    words = Answers("words", torch.tensor([0, 0, 0]), probabilities_TO, answer_T)
    assert words.accuracy() == 0.5


def test_a_story_is_the_shortest_and_has_its_words() -> None:
    task = Stories()
    model = models.build("lstm", input_kind="tokens", input_size=4, output_size=4, hidden_size=8)
    sample = record_sample(model, task)
    assert sample.words == task.vocabulary and sample.inputs.tolist() == [1, 3]
    torch.testing.assert_close(sample.answers.given_TO.sum(-1), torch.ones(2))


def test_answers_that_are_numbers_have_an_error():
    wanted, given = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[9.0], [1.5], [2.5]])
    answers = Answers("numbers", wanted, given, torch.tensor([False, True, True]))
    assert answers.verdict() == "mean squared error 0.25" and answers.error() == 0.5
    assert not answers.wrong().any() and not answers.right().any()
