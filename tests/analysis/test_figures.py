from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.analysis.stories import Stories
from tests.training.tiny import tiny_config

from torchmann import models
from torchmann.analysis import Sample, draw_run, learning_curve, record_sample, sample_figure
from torchmann.analysis.sample import Answers
from torchmann.analysis.sample_figure import drawn
from torchmann.analysis.style import save
from torchmann.core import OptionError
from torchmann.tasks import Copy
from torchmann.training import Measurement, train_run


def titles(figure: Figure) -> list[str]:
    return [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]


def bits(probability: float) -> Sample:
    """Four steps, the last two answered; every target is one."""
    answer_T = torch.tensor([False, False, True, True])
    targets_TO = torch.ones(4, 2)
    internals = {"memory.write_weights": torch.rand(4, 1, 5), "memory.usage": torch.rand(4, 5)}
    answers = Answers("bits", targets_TO, torch.full((4, 2), probability), answer_T)
    return Sample(torch.rand(4, 3), answers, internals)


def drawn_of(model: str, **options: int) -> dict[str, torch.Tensor]:
    sizes = {} if "rmc" in model else {"hidden_size": 8}
    body = models.build(model, input_kind="vector", input_size=4, output_size=2, **sizes, **options)
    return drawn(record_sample(body, Copy(bits=2, max_length=3)).internals)


def test_every_head_of_a_memory_has_its_weights() -> None:
    shown = drawn_of("dnc", slots=5, width=4, reads=2)
    assert list(shown) == ["write weights", "read weights, head 1", "read weights, head 2", "usage"]
    assert all(value.shape == (8, 5) for value in shown.values())
    assert not torch.equal(shown["read weights, head 1"], shown["read weights, head 2"])


def test_every_block_of_a_distributed_memory_has_its_weights() -> None:
    heads = [f"read weights, block {block}, head {head}" for block in (1, 2) for head in (1, 2)]
    blocks = [[f"{what}, block {block}" for block in (1, 2)] for what in ("write weights", "usage")]
    assert list(drawn_of("dam", slots=5, width=4, blocks=2, reads=2)) == [*blocks[0], *heads, *blocks[1]]


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
def test_a_model_without_a_memory_shows_its_hidden_state(model: str) -> None:
    shown = drawn_of(model)
    assert list(shown) == ["hidden state"] and shown["hidden state"].shape == (8, 8)


def test_of_a_memory_without_weightings_the_slots_are_seen_to_move() -> None:
    (change,) = drawn_of("rmc", slots=5, width=4, heads=2).values()
    assert change.shape == (8, 5) and change[0].isnan().all() and change[1:].max() == 1 and change[1:].min() > 0
    titles = list(drawn_of("darmc", slots=5, width=4, heads=2, blocks=2))
    assert titles == [f"change of each slot, share of the largest, block {block}" for block in (1, 2)]


def test_chosen_internals_are_drawn_instead() -> None:
    figure = sample_figure(bits(0.9), "", {"attentive gate": torch.rand(4, 2)})
    assert titles(figure)[3:] == ["attentive gate"]
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_title(loc="left")][3:] == ["block"]


def test_an_ntm_has_no_usage() -> None:
    assert list(drawn_of("ntm", slots=5, width=4)) == ["write weights", "read weights"]


def test_a_memory_that_rests_is_shown_at_every_step() -> None:
    shown = drawn_of("dnc", slots=5, width=4, writing="uniform:3")
    assert {name: len(value) for name, value in shown.items()} == {"write weights": 8, "read weights": 8, "usage": 8}
    assert all(value.isfinite().all() for value in shown.values())


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
    assert torch.equal(torch.from_numpy(shown["usage"].get_array().data.T), sample.internals["memory.usage"])
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
    assert [path.name for path in pictures] == [
        "microscope.html",
        "sample.png",
        "longer.png",
        "length_curve.png",
        "learning_curve.png",
    ]
    assert all(path.parent == tmp_path / "run" / "pictures" and path.stat().st_size > 5000 for path in pictures)
    page = (tmp_path / "run" / "pictures" / "microscope.html").read_text()
    assert "<title>ntm on copy</title>" in page and "4 iterations" in page and "held-out" in page


@pytest.mark.parametrize(("ending", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_pictures_for_print(ending: str, start: bytes, tmp_path: Path) -> None:
    assert save(sample_figure(bits(0.9), ""), tmp_path / f"a.{ending}").read_bytes().startswith(start)


def test_more_dots_are_a_larger_picture(tmp_path: Path) -> None:
    widths = [imread(save(sample_figure(bits(0.9), ""), tmp_path / "a.png", dpi)).shape[1] for dpi in (100, 300)]
    assert abs(widths[1] - 3 * widths[0]) <= 6


def test_the_format_of_the_pictures_of_a_run(tmp_path: Path) -> None:
    directory = train_run(tiny_config("lstm"), tmp_path / "run").directory
    names = [path.name for path in draw_run(directory, format="pdf")]
    assert names == ["microscope.html", "sample.pdf", "longer.pdf", "length_curve.pdf", "learning_curve.pdf"]
    with pytest.raises(OptionError, match="dpi must be at least 10 dots per inch, got 3"):
        draw_run(directory, dpi=3)
    with pytest.raises(OptionError, match="unknown format of pictures 'pgn': did you mean 'png'"):
        draw_run(directory, format="pgn")
