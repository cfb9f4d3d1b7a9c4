"""The same sequence through the weights of several moments of training."""

from __future__ import annotations

from pathlib import Path

import torch
from tests.analysis.microscope.watched import watched
from tests.training.tiny import tiny_config

from torchmann.analysis.moments import MOST_MOMENTS, film, films, kept_moments, longer_films
from torchmann.analysis.sample import record, telling_rows
from torchmann.training import load_run, train_run


def test_each_moment_has_its_weights_and_the_model_keeps_its_own() -> None:
    (model, task), (other, _) = watched("dnc"), watched("dnc")
    own = {name: value.clone() for name, value in model.state_dict().items()}
    row = telling_rows(model, task)[0]
    moments = [("other", other.state_dict()), ("own", model.state_dict())]
    shown = film("a title", model, task, row, moments)
    assert shown.title == "a title (8 steps)" and shown.moments == ["other", "own"]
    for sample, of in zip(shown.samples, (other, model), strict=True):
        assert torch.equal(sample.answers.given_TO, record(of, task, row).answers.given_TO)
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())


def test_the_first_film_has_all_moments_and_the_others_the_last() -> None:
    model, task = watched("lstm")
    moments = [("before", model.state_dict()), ("after", model.state_dict())]
    first, *worst = films(model, task, moments)
    longer = longer_films(model, task, moments)
    assert first.moments == ["before", "after"] and all(each.moments == ["after"] for each in [*worst, *longer])
    assert [each.title.partition(",")[0] for each in longer] == list(task.longer())


def test_the_moments_of_a_run_are_its_beginning_and_its_checkpoints(tmp_path: Path) -> None:
    config = tiny_config("lstm", checkpoint_every=1, keep_every=2)
    directory = train_run(config, tmp_path / "run").directory
    _, task, model = load_run(directory)
    moments = kept_moments(directory, config, task, model)
    assert [label for label, _ in moments] == ["untrained", "iteration 2", "iteration 3", "iteration 4"]
    before = config.build_model(task).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in moments[0][1].items())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in moments[-1][1].items())


def test_a_damaged_checkpoint_is_passed_over_and_other_weights_come_last(tmp_path: Path) -> None:
    config = tiny_config("lstm", checkpoint_every=1, keep_every=1)
    directory = train_run(config, tmp_path / "run").directory
    directory.checkpoints.path(3).write_bytes(b"damaged")
    directory.checkpoints.path(4).unlink()
    _, task, model = load_run(directory)
    labels = [label for label, _ in kept_moments(directory, config, task, model)]
    assert labels == ["untrained", "iteration 1", "iteration 2", "as stored last"]


def test_of_many_checkpoints_some_are_taken(tmp_path: Path) -> None:
    config = tiny_config("lstm", checkpoint_every=1, keep_every=1, iterations=30, evaluate_every=30)
    directory = train_run(config, tmp_path / "run").directory
    _, task, model = load_run(directory)
    labels = [label for label, _ in kept_moments(directory, config, task, model)]
    assert len(labels) == MOST_MOMENTS + 1
    assert labels[:2] == ["untrained", "iteration 1"] and labels[-1] == "iteration 30"
