import pytest
from tests.experiments.tiny import experiment, record

from torchmann.experiments import measures
from torchmann.experiments.measures import (
    MEGABYTES,
    MILLISECONDS,
    average,
    best,
    extra,
    last,
    reached,
    solved,
)
from torchmann.experiments.record import Record

TRIAL = experiment().trials[0]


def curve(*losses: float) -> Record:
    """A record with these losses at iterations 10, 20, ..."""
    iterations = [10 * place for place in range(1, len(losses) + 1)]
    return record(TRIAL, curves={"train": {"iteration": iterations, "loss": list(losses)}})


def test_scores_of_the_test() -> None:
    assert measures.tested("bit_accuracy", times=100)(record(TRIAL, accuracy=0.25)) == 25
    assert measures.tested("unknown")(record(TRIAL)) is None


def test_numbers_of_a_curve() -> None:
    run = curve(4, 1, 3, 2)
    assert best("train:loss")(run) == 4 and average("train:loss")(run) == 2.5
    assert last("train:loss")(run) == 2 and last("train:loss", 2)(run) == 2.5
    assert best("train:none")(run) is average("train:none")(run) is last("train:none")(run) is None


def test_reaching_a_level() -> None:
    run = curve(4, 1, 3, 1, 1)
    assert reached("train:loss", 1, above=False)(run) == 20
    assert reached("train:loss", 1, above=False, window=2)(run) == 50
    assert reached("train:loss", 5)(run) is None


def test_solved_allows_few_peaks() -> None:
    of = solved("train:loss", 0.1, window=4, peaks=0.3)
    assert of(curve(1, 1, 0.0, 0.0, 0.2, 0.0, 0.0)) == 60
    assert of(curve(1, 0.0, 0.2, 0.0, 0.2, 0.0)) is None
    assert of(curve(0.0, 0.0, 0.0, 0.2)) is None


def test_cost() -> None:
    run = record(TRIAL, seconds=3.0, iteration=10, together=2)
    assert MILLISECONDS.of(run) == pytest.approx(150) and MEGABYTES.of(run) == 300
    assert MEGABYTES.of(record(TRIAL, peak_bytes=None)) is None
    assert extra("gate", 100)(record(TRIAL, extra={"gate": 0.5})) == 50


def test_showing() -> None:
    assert MILLISECONDS.show(None) == "–" and MILLISECONDS.show(1.25) == "1.2"
