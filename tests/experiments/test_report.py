from dataclasses import replace
from pathlib import Path

from tests.experiments.tiny import copy_config, experiment, record

from torchmann.experiments.comparison import places
from torchmann.experiments.curves import curves, spread
from torchmann.experiments.experiment import Experiment, Trial
from torchmann.experiments.page import page
from torchmann.experiments.report import deviations, markdown, results_table
from torchmann.experiments.results import Results

EXPERIMENT = experiment(notes=("All of this is small.",))
RNN, LSTM, QUOTED = EXPERIMENT.trials


def results(tmp_path: Path) -> Results:
    found = Results(tmp_path)
    for seed, accuracy in enumerate((0.5, 0.75)):
        found.add(record(RNN, seed, accuracy))
    return found


def test_paper_against_ours(tmp_path: Path) -> None:
    head, rnn, lstm, quoted = results_table(EXPERIMENT, places(EXPERIMENT, results(tmp_path), "full"))
    assert head[2:4] == ["paper, %", "ours, mean ± sd, %"]
    assert rnn == ["RNN", "copy", "50.0", "62.5 ± 17.7", "62.5", "75.0", "2", "as reported"]
    assert lstm[-1] == "not run" and lstm[3] == ""
    assert quoted[2] == "99.0 (quoted)" and quoted[-1] == "quoted by the paper"


def test_the_report_has_all_its_parts(tmp_path: Path) -> None:
    text = markdown(EXPERIMENT, results(tmp_path), "full", "curves.png")
    for part in (
        "# tiny/table1: Copy with small models",
        "`torchmann reproduce tiny/table1`",
        "Of 1 claims 1 are not decided",
        "not run",
        "![Learning curves of tiny/table1](curves.png)",
        "| RNN | copy | 139 | 139 | 200.0 ± 0.0 | 300 ± 0 | a processor, 1 thread |",
        "- All of this is small.",
        "- LSTM: The LSTM is small.",
        "torchmann 0.1.0, PyTorch 2.13.0, Python 3.11.0; 2026-11-21",
    ):
        assert part in text
    assert "scale" not in text and "earlier declaration" not in text


def test_another_scale_says_so(tmp_path: Path) -> None:
    text = markdown(EXPERIMENT, results(tmp_path), "short")
    assert "--scale short" in text and "not the paper's training" in " ".join(text.split())


def test_records_of_an_earlier_declaration_are_told(tmp_path: Path) -> None:
    found = results(tmp_path)
    found.add(record(LSTM, 0, config=copy_config("lstm", batch_size=7).to_dict()))
    assert "1 stored records are of an earlier declaration" in markdown(EXPERIMENT, found, "full")


def test_a_report_without_runs_shows_the_paper(tmp_path: Path) -> None:
    text = markdown(EXPERIMENT, Results(tmp_path), "full", "curves.png")
    assert "99.0 (quoted)" in text and "curves.png" not in text


def test_the_page_needs_no_other_file(tmp_path: Path) -> None:
    text = page(EXPERIMENT, results(tmp_path), "full")
    assert "data:image/png;base64," in text and "<title>tiny/table1</title>" in text
    assert 'src="http' not in text and "href=" not in text
    assert "62.5 ± 17.7" in text and "not decided" in text


def test_claims_are_told_once_both_sides_were_run(tmp_path: Path) -> None:
    found = results(tmp_path)
    found.add(record(LSTM, 0, 0.9))
    for text in (markdown(EXPERIMENT, found, "full"), page(EXPERIMENT, found, "full")):
        assert "The LSTM is better." in text and "holds in 2 of 2 pairs of runs" in text
        assert "not decided" not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    assert "a &lt; b &amp; c" in page(experiment(notes=("a < b & c",)), results(tmp_path), "full")


def test_shared_deviations_are_said_once() -> None:
    both = [Trial(row, "copy", copy_config(row), deviations=("Shared.",)) for row in ("rnn", "lstm")]
    only = Trial("gru", "copy", copy_config("gru"), deviations=("Its own.",))
    found = deviations(places(experiment_of(*both), Results("nowhere"), "full"))
    assert found == ["Shared."]
    assert deviations(places(experiment_of(*both, only), Results("nowhere"), "full")) == [
        "rnn, lstm: Shared.",
        "gru: Its own.",
    ]


def experiment_of(*trials: Trial) -> Experiment:
    return replace(EXPERIMENT, trials=trials, claims=())


def test_the_band_goes_from_the_lowest_to_the_highest_run() -> None:
    values = ((0.9, 0.5), (0.7, 0.3), (0.2, 0.4))
    runs = [
        record(RNN, seed, curves={"train": {"iteration": [2, 4], "loss": list(each)}})
        for seed, each in enumerate(values)
    ]
    assert spread(runs, "train:loss") == ([2, 4], [0.2, 0.3], [0.7, 0.4], [0.9, 0.5])


def test_a_panel_for_each_task_that_was_run(tmp_path: Path) -> None:
    figure = curves(EXPERIMENT, places(EXPERIMENT, results(tmp_path), "full"))
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.get_visible()] == ["copy"]
    assert len(figure.axes[0].lines) == 1
