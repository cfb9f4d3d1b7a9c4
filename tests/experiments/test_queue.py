from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.tiny import experiment, record

from torchmann.core.errors import DataError
from torchmann.experiments.queue import FILE, Timing, add_timings, markdown, queue, read_timings, value_of
from torchmann.experiments.results import Results, identity

EXPERIMENT = experiment()
RNN, LSTM, _ = EXPERIMENT.trials


def timed(**seconds: float) -> dict[str, Timing]:
    keys = {"rnn": identity(RNN.config), "lstm": identity(LSTM.config)}  # type: ignore[arg-type]
    return {keys[name]: Timing(keys[name], value, 60.0, "a processor", "2026-11-21") for name, value in seconds.items()}


def test_the_next_seed_of_every_trial_that_lacks_runs(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for seed in range(3):
        results.add(record(RNN, seed))
    results.add(record(LSTM, 0))
    assert [(each.trial.row, each.seed) for each in queue([EXPERIMENT], results, {})] == [("LSTM", 1)]


def test_value_for_its_time_comes_first(tmp_path: Path) -> None:
    found = queue([EXPERIMENT], Results(tmp_path), timed(rnn=3600, lstm=360))
    assert [each.trial.row for each in found] == ["LSTM", "RNN"]
    assert [each.per_hour for each in found] == [15.0, 2.0]


def test_later_seeds_are_worth_less() -> None:
    assert value_of(RNN, EXPERIMENT, 0) == 2.0 and value_of(RNN, EXPERIMENT, 1) == 1.0
    assert value_of(LSTM, EXPERIMENT, 0) == 1.5


def test_equal_trials_of_two_experiments_are_one_unit(tmp_path: Path) -> None:
    other = replace(EXPERIMENT, name="tiny/figure9")
    found = queue([EXPERIMENT, other], Results(tmp_path), timed(rnn=3600, lstm=3600))
    assert [each.experiments for each in found] == [("tiny/table1", "tiny/figure9")] * 2
    assert found[0].value == 4.0


def test_timings_survive_their_file(tmp_path: Path) -> None:
    add_timings(tmp_path, list(timed(rnn=1, lstm=2).values()))
    add_timings(tmp_path, list(timed(rnn=3).values()))
    assert sorted(timing.seconds for timing in read_timings(tmp_path).values()) == [2, 3]
    (tmp_path / FILE).write_text("nonsense\n")
    with pytest.raises(DataError, match="no timing"):
        read_timings(tmp_path)


def test_the_page_parts_what_fits_from_what_does_not(tmp_path: Path) -> None:
    timings = timed(rnn=100, lstm=3 * 3600)
    text = markdown(queue([EXPERIMENT], Results(tmp_path), timings), timings)
    short, long = text.index("RNN, copy"), text.index("LSTM, copy")
    assert short < text.index("## Longer on the CPU: 1 units, 3.0 h") < long
    assert "Not timed" not in text
    assert "Not timed here" in markdown(queue([EXPERIMENT], Results(tmp_path), {}), {})
