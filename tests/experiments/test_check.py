from pathlib import Path

import pytest
from tests.experiments.tiny import experiment, record

from torchmann.experiments.check import agreements
from torchmann.experiments.results import Results

EXPERIMENT = experiment()
RNN = EXPERIMENT.trials[0]


def results(path: Path, accuracies: dict[int, float]) -> Results:
    found = Results(path)
    for seed, accuracy in accuracies.items():
        found.add(record(RNN, seed, accuracy))
    return found


@pytest.mark.parametrize(
    ("stored", "fresh", "answer"),
    [
        ({0: 0.5, 1: 0.6}, {0: 0.5}, "equal"),
        ({0: 0.5, 1: 0.6}, {0: 0.50001, 1: 0.6}, "equal"),
        ({0: 0.5, 1: 0.6}, {0: 0.6}, "within the spread"),
        ({0: 0.5, 1: 0.6}, {2: 0.55}, "within the spread"),
        ({0: 0.5, 1: 0.6}, {2: 0.9}, "off"),
        ({0: 0.5}, {0: 0.6}, "off"),
        ({}, {0: 0.6}, "nothing stored"),
        ({0: 0.5}, {}, "not run now"),
    ],
)
def test_fresh_runs_against_stored_ones(
    tmp_path: Path, stored: dict[int, float], fresh: dict[int, float], answer: str
) -> None:
    found = agreements(
        EXPERIMENT, [RNN], results(tmp_path / "stored", stored), results(tmp_path / "fresh", fresh), "full"
    )
    assert [each.answer for each in found] == [answer]
