from pathlib import Path

import pytest
from tests.experiments.tiny import ACCURACY, experiment, record

from torchmann.experiments.comparison import Ours, against, places, verdict
from torchmann.experiments.experiment import Claim, Measure, Reported
from torchmann.experiments.measures import reached
from torchmann.experiments.results import Results

EXPERIMENT = experiment()
RNN, LSTM, QUOTED = EXPERIMENT.trials


def results(tmp_path: Path, rnn: tuple[float, ...], lstm: tuple[float, ...]) -> Results:
    found = Results(tmp_path)
    for trial, values in ((RNN, rnn), (LSTM, lstm)):
        for seed, value in enumerate(values):
            found.add(record(trial, seed, value))
    return found


def test_statistics_over_seeds() -> None:
    ours = Ours.over([record(RNN, seed, value) for seed, value in enumerate((0.5, 0.75, 0.7))], ACCURACY)
    assert ours.mean == pytest.approx(65) and ours.sd == pytest.approx(13.2288, abs=1e-3)
    assert ours.median == pytest.approx(70) and ours.best == pytest.approx(75) and ours.success_rate == 1


def test_lower_is_better_where_the_measure_says_so() -> None:
    loss = Measure("loss", ACCURACY.of, better="lower")
    assert Ours.over([record(RNN, 0, 0.5), record(RNN, 1, 0.75)], loss).best == 50


def test_runs_that_never_got_there_count_in_the_success_rate_alone() -> None:
    late = Measure("iterations", reached("train:loss", 0.6, above=False), better="lower")
    never = record(RNN, 1, curves={"train": {"iteration": [2, 4], "loss": [0.9, 0.8]}})
    ours = Ours.over([record(RNN, 0), never], late)
    assert ours.values == (6,) and ours.n == 2 and ours.success_rate == 0.5 and ours.sd is None


@pytest.mark.parametrize(
    ("reported", "mean", "answer"),
    [
        (Reported(50.0, tolerance=5), 0.54, "as reported"),
        (Reported(50.0, tolerance=5), 0.56, "above"),
        (Reported(50.0, sd=2), 0.45, "below"),
        (Reported(50.0, sd=3), 0.45, "as reported"),
        (Reported(50.0), 0.45, ""),
        (None, 0.45, ""),
    ],
)
def test_against_the_paper(reported: Reported | None, mean: float, answer: str) -> None:
    assert against(reported, Ours.over([record(RNN, 0, mean)], ACCURACY)) == answer


@pytest.mark.parametrize(
    ("rnn", "lstm", "answer"),
    [
        ((0.5, 0.6), (0.7, 0.8), "holds in 4 of 4"),
        ((0.5, 0.75), (0.7, 0.8), "holds mostly, in 3 of 4"),
        ((0.9,), (0.7, 0.8), "does not hold: in 0 of 2"),
        ((), (0.7,), "not run"),
    ],
)
def test_claims_are_judged_by_pairs_of_runs(
    tmp_path: Path, rnn: tuple[float, ...], lstm: tuple[float, ...], answer: str
) -> None:
    told = verdict(EXPERIMENT.claims[0], EXPERIMENT, results(tmp_path, rnn, lstm), "full")
    assert told.answer.startswith(answer)


def test_a_run_that_never_got_there_loses_every_pair(tmp_path: Path) -> None:
    level = Measure("iterations", reached("train:loss", 0.6, above=False), better="lower")
    found = Results(tmp_path)
    found.add(record(RNN, 0))
    found.add(record(LSTM, 0, curves={"train": {"iteration": [2], "loss": [0.9]}}))
    claim = Claim("The RNN gets there.", "RNN | copy", "LSTM | copy", level)
    assert verdict(claim, EXPERIMENT, found, "full").answer == "holds in 1 of 1 pairs of runs"
    other = Claim("The LSTM gets there.", "LSTM | copy", "RNN | copy", level)
    assert verdict(other, EXPERIMENT, found, "full").answer.startswith("does not hold")


def test_places_are_those_of_the_table(tmp_path: Path) -> None:
    found = places(EXPERIMENT, results(tmp_path, (0.5,), ()), "full")
    assert [place.ours.n for place in found] == [1, 0, 0]
    assert found[0].answer == "as reported"
