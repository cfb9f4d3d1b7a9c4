from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from tests.training.tiny import tiny_config

from torchmann.training import threads
from torchmann.training.threads import candidates, chosen, fastest_threads, with_threads


@pytest.mark.parametrize(
    ("medians", "wanted"),
    [
        ({1: 1.0}, 1),
        ({1: 1.0, 2: 0.5}, 2),
        ({1: 1.0, 2: 0.96}, 1),
        ({1: 1.0, 2: 0.7, 4: 0.6}, 4),
        ({1: 1.0, 2: 0.7, 4: 9.0}, 2),
        ({1: 1.0, 2: 3.0}, 1),
    ],
)
def test_one_thread_unless_others_are_clearly_faster(medians, wanted):
    assert chosen(medians) == wanted


def test_candidates(monkeypatch):
    for cores, wanted in ((1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])):
        monkeypatch.setattr(threads.os, "cpu_count", lambda cores=cores: cores)
        assert candidates() == wanted


def test_every_number_is_tried_in_turn_and_undone():
    seen: list[int] = []
    count, medians = fastest_threads(lambda: seen.append(torch.get_num_threads()), [1, 2])
    assert seen == [1, 2] * (threads.ROUNDS + 1) and torch.get_num_threads() == 1
    assert set(medians) == {1, 2} and count in (1, 2)


def test_auto_becomes_a_number_that_is_said(monkeypatch):
    monkeypatch.setattr(threads, "fastest_threads", lambda step, counts: (2, {1: 0.002, 2: 0.001}))
    monkeypatch.setattr(threads, "candidates", lambda: [1, 2])
    stream, config = io.StringIO(), tiny_config()
    auto = replace(config, settings=replace(config.settings, threads="auto"))
    told = with_threads(auto, lambda config: lambda: None, stream)
    assert told.settings.threads == 2
    assert stream.getvalue() == "2 threads: an iteration takes 2.0 ms on 1, 1.0 ms on 2\n"
    assert with_threads(config, lambda config: lambda: None, stream) is config
