"""What the page is told of a sequence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.analysis.microscope.test_numbers import unpacked
from tests.analysis.microscope.watched import watched, watched_films
from tests.analysis.stories import Stories

from torchmann.analysis.microscope import Film
from torchmann.analysis.microscope.numbers import Numbers
from torchmann.analysis.sample import Answers, Sample, record_sample


def content_of(film: Film, most_steps: int = 100, most_cells: int = 100) -> tuple[dict, Numbers]:
    numbers = Numbers()
    content = film.content(numbers, most_steps, most_cells)
    json.dumps(content, allow_nan=False)
    return content, numbers


def test_a_film_of_bits() -> None:
    film = watched_films("dnc")[0]
    content, numbers = content_of(film)
    sample = film.samples[-1]
    panels = {panel["name"]: panel for panel in content["panels"]}
    assert content["steps"] == 8 and content["moments"] == ["before", "after"] and content["note"] == ""
    assert content["verdicts"][1] == sample.answers.verdict()
    assert content["asked"] == sample.answers.asked_T.tolist() and content["read"] is content["answers"] is None
    assert list(panels)[:4] == ["inputs", "targets", "outputs", "memory.write_weights"]
    outputs = unpacked(numbers.text(), panels["outputs"]["numbers"])[:, :, 0, 0, :, 0]
    wrong = unpacked(numbers.text(), panels["outputs"]["wrong"])[:, :, 0, 0, :, 0]
    for moment, each in enumerate(film.samples):
        given = torch.where(each.answers.asked_T.unsqueeze(-1), each.answers.given_TO, torch.nan)
        np.testing.assert_allclose(outputs[moment], given, atol=1e-4)
        np.testing.assert_array_equal(wrong[moment], each.answers.wrong())


def test_memory_refreshing_is_shown_where_it_was_trained() -> None:
    assert content_of(watched_films("dnc")[0])[0]["refreshable"] is None
    content, numbers = content_of(watched_films("dnc", refreshed=True)[0])
    assert content["refreshable"] == [False, True, True, True, False, False, False, False]
    (panel,) = [panel for panel in content["panels"] if panel["name"] == "reproduced"]
    shown = ~np.isnan(unpacked(numbers.text(), panel["numbers"]))[-1, :, 0, 0, 0, 0]
    assert shown.tolist() == content["refreshable"]


def test_a_film_of_words() -> None:
    film = watched_films("words", refreshed=True)[0]
    content, _ = content_of(film)
    assert content["read"] == ["mary", "-"] and content["asked"] == [False, True]
    assert content["answers"]["wanted"] == {1: "mary"}
    likeliest = content["answers"]["given"][-1][1]
    chances = [chance for _, chance in likeliest]
    assert {word for word, _ in likeliest} == set(Stories.vocabulary) and chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=0.01)
    assert set(content["reproduced"]["wanted"]) == {1}
    assert content["panels"][0]["name"] == "certainty"


def test_a_long_sequence_is_cut_and_says_so() -> None:
    film = watched_films("dnc")[0]
    content, _ = content_of(film, most_steps=5)
    assert content["steps"] == len(content["kinds"]) == len(content["asked"]) == 5
    assert content["note"] == "Only the first 5 of 8 steps are shown."
    assert {panel["numbers"]["shape"][1] for panel in content["panels"]} == {5}
    assert content["verdicts"] == content_of(film)[0]["verdicts"], "that of the whole sequence"


def test_large_images_are_cut_and_say_so() -> None:
    content, _ = content_of(watched_films("dnc")[0], most_cells=3)
    panels = {panel["name"]: panel for panel in content["panels"]}
    assert panels["memory.memory"]["numbers"]["shape"][4:] == [3, 3]
    assert "the first 3 of 5 slots; the first 3 of 4 places" in panels["memory.memory"]["hint"]
    assert panels["memory.usage"]["numbers"]["shape"][4:] == [5, 1]


def test_numbers_are_neither_right_nor_wrong() -> None:
    sample = record_sample(*watched("lstm"))
    numbers = replace(sample.answers, alphabet="numbers")
    assert not numbers.right().any() and not numbers.wrong().any() and numbers.accuracy() == 0
    content, _ = content_of(Film("", [replace(sample, answers=numbers)], ["now"]))
    assert [panel["name"] for panel in content["panels"]][:3] == ["inputs", "targets", "outputs"]


def test_classes_without_a_vocabulary_are_called_by_their_numbers() -> None:
    answers = Answers("words", torch.tensor([0, 2]), torch.eye(3)[[1, 2]], torch.tensor([True, True]))
    assert answers.accuracy() == 0.5
    content, _ = content_of(Film("", [Sample(torch.rand(2, 4), answers, {"h": torch.zeros(2, 5)})], ["now"]))
    assert content["answers"]["wanted"] == {0: "0", 1: "2"} and content["read"] is None
