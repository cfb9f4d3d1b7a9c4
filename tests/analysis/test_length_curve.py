from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.training.tiny import tiny_config

from torchmann.analysis import LengthCurve, draw_run, length_curves, length_figure
from torchmann.analysis.length_curve import Point
from torchmann.training import Choice, Config, evaluate, train_run

CURVE = LengthCurve("length", "bit_accuracy", (1, 4), [Point(1, 1.0, 0.9, 1.0), Point(8, 0.6, 0.5, 0.75)])


def curves_of(task: Choice) -> list[LengthCurve]:
    config = Config(task, Choice("lstm", {"hidden_size": 8}))
    made = config.build_task()
    return length_curves(config.build_model(made), made, task)


def test_the_sizes_are_the_trained_ends_the_longer_ones_and_the_midpoints() -> None:
    (curve,) = curves_of(Choice("copy", {"bits": 2, "min_length": 2, "max_length": 5}))
    assert [point.size for point in curve.points] == [2, 3, 5, 7, 10, 15, 20]
    assert (curve.size, curve.metric, curve.trained) == ("length", "bit_accuracy", (2, 5))
    assert all(0 <= point.low <= point.score <= point.high <= 1 for point in curve.points)


def test_a_task_with_two_sizes_has_two_curves() -> None:
    curves = curves_of(Choice("repeat-copy", {"max_length": 2, "max_repeats": 3}))
    assert {curve.size: [point.size for point in curve.points] for curve in curves} == {
        "length": [1, 2, 3, 4],
        "repeats": [1, 2, 3, 4, 6],
    }


def test_a_point_is_the_evaluation_of_a_longer_task() -> None:
    config = Config(Choice("recall", {"bits": 2, "max_items": 3}), Choice("lstm", {"hidden_size": 8}))
    task = config.build_task()
    model = config.build_model(task)
    (curve,) = length_curves(model, task, config.task)
    at = {point.size: point.score for point in curve.points}
    for label, longer in task.longer().items():
        means = evaluate(model, longer, "test", batch_size=100, batches=1, device=torch.device("cpu"))
        assert at[int(label.removeprefix("items "))] == means.scores["bit_accuracy"]


def test_the_figure_shows_points_intervals_and_the_trained_sizes() -> None:
    figure = length_figure([CURVE], "a title")
    (axis,) = figure.axes
    ((line, _, (bars,)),) = axis.containers
    assert line.get_xdata().tolist() == [1, 8] and line.get_ydata().tolist() == [1.0, 0.6]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [pytest.approx([0.9, 1.0]), pytest.approx([0.5, 0.75])]
    (shade,) = axis.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (0.5, 4.5)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("length", "bit accuracy")
    assert len(length_figure([CURVE, CURVE], "").axes) == 2


def test_a_run_keeps_the_data_of_its_curve(tmp_path: Path) -> None:
    directory = train_run(tiny_config("lstm"), tmp_path / "run").directory
    pictures = draw_run(directory)
    assert directory.pictures / "length_curve.png" in pictures
    (stored,) = json.loads((directory.path / "length_curve.json").read_text())
    assert stored["size"] == "length" and stored["trained"] == [1, 2]
    assert [point["size"] for point in stored["points"]] == [1, 2, 3, 4, 6, 8]
