from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.analysis.stories import Stories
from tests.training.tiny import tiny_config

from torchmann import models
from torchmann.analysis import Sample, draw_run, learning_curve, record_sample, sample_figure
from torchmann.analysis.style import save
from torchmann.training import Measurement, train_run


def titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]


def bits(probability: float) -> Sample:
    """Four steps, the last two answered; every target is one."""
    answer_T = torch.tensor([False, False, True, True])
    targets_TO = torch.ones(4, 2)
    weights = {"write weights": torch.rand(4, 5), "usage": torch.rand(4, 5)}
    return Sample(torch.rand(4, 3), targets_TO, torch.full((4, 2), probability), answer_T, weights, ())


def test_panels_stand_in_order_and_share_their_time_axis() -> None:
    figure = sample_figure(bits(0.9), "a title")
    expected = ["inputs", "targets", "outputs: probability of a one", "write weights", "usage"]
    assert titles(figure) == expected
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert {axis.get_xlim() for axis in panels} == {(-0.5, 3.5)}
    assert [axis.get_ylabel() for axis in panels] == ["channel"] * 3 + ["slot"] * 2
    assert panels[-1].get_xlabel().startswith("step") and figure.get_suptitle() == "a title"


def test_an_image_shows_the_values_it_is_given() -> None:
    sample = bits(0.9)
    figure = sample_figure(sample, "")
    shown = {axis.get_title(loc="left"): axis.images[0] for axis in figure.axes if axis.get_title(loc="left")}
    assert torch.equal(torch.from_numpy(shown["usage"].get_array().data.T), sample.internals["usage"])
    masked = shown["targets"].get_array().mask
    assert masked[:, :2].all() and not masked[:, 2:].any(), "what is not asked stays empty"


def test_wrong_bits_are_outlined_and_counted() -> None:
    def outlined(sample: Sample) -> int:
        outputs = next(axis for axis in sample_figure(sample, "").axes if "outputs" in axis.get_title(loc="left"))
        return len(outputs.patches)

    assert outlined(bits(0.9)) == 0 and outlined(bits(0.2)) == 4
    assert "outputs: probability of a one (4 wrong, outlined)" in titles(sample_figure(bits(0.2), ""))


def test_a_story_has_its_words_below_and_its_answers_above() -> None:
    model = models.build("ntm", input_kind="tokens", input_size=4, output_size=4, hidden_size=8, slots=4, width=4)
    sample = record_sample(model, Stories())
    figure = sample_figure(sample, "")
    answers, *_, last = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [label.get_text() for label in last.get_xticklabels()] == ["mary", "-"]
    (said,) = [text.get_text() for text in answers.texts]
    assert said == "mary" or said.endswith(", not mary")


def test_the_learning_curve_has_both_splits_and_the_metric() -> None:
    measurements = [Measurement("train", n, n, 1 / n, {"bit_accuracy": 1 - 1 / n}) for n in (1, 2, 3)]
    measurements += [Measurement("validation", 3, 3, 0.5, {"bit_accuracy": 0.75})]
    loss, metric = learning_curve(measurements, "bit_accuracy", "").axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1, 1 / 2, 1 / 3], [0.5]]
    assert [line.get_ydata().tolist() for line in metric.lines] == [[0, 1 / 2, 1 - 1 / 3], [0.75]]
    assert metric.get_ylabel() == "bit accuracy" and metric.get_xlabel() == "iteration"


def test_a_picture_is_written_whole_and_other_figures_keep_their_style(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    path = save(sample_figure(bits(0.9), "a title"), tmp_path / "new" / "sample.png")
    height, width, _ = imread(path).shape
    assert height > 300 and width > 600
    assert dict(matplotlib.rcParams) == before


def test_a_run_gets_its_pictures(tmp_path: Path) -> None:
    outcome = train_run(tiny_config("ntm"), tmp_path / "run")
    pictures = draw_run(outcome.directory)
    assert [path.name for path in pictures] == ["sample.png", "longer.png", "learning_curve.png"]
    assert all(path.parent == tmp_path / "run" / "pictures" and path.stat().st_size > 5000 for path in pictures)
