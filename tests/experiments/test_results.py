from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.tiny import copy_config, experiment, record

from torchmann.core.errors import DataError
from torchmann.experiments.experiment import Trial
from torchmann.experiments.results import Results, identity, require_readable

EXPERIMENT = experiment()
RNN, LSTM, QUOTED = EXPERIMENT.trials


def kept(tmp_path: Path, *records: object) -> Results:
    results = Results(tmp_path)
    for each in records:
        results.add(each)  # type: ignore[arg-type]
    return Results(tmp_path)


def test_records_are_found_by_what_was_run(tmp_path: Path) -> None:
    results = kept(tmp_path, record(RNN, 0), record(RNN, 1), record(LSTM, 0))
    assert [each.seed for each in results.of(RNN, "full")] == [0, 1]
    assert [each.trial for each in results.of(LSTM, "full")] == ["LSTM | copy"]
    assert results.of(RNN, "short") == [] and results.of(QUOTED, "full") == []


def test_a_trial_counts_the_equal_runs_of_another_experiment(tmp_path: Path) -> None:
    results = kept(tmp_path, record(RNN, 0, experiment="tiny/figure9", trial="elsewhere | copy"))
    assert [each.experiment for each in results.of(RNN, "full")] == ["tiny/figure9"]


def test_seed_device_and_threads_make_no_other_run(tmp_path: Path) -> None:
    one = copy_config()
    other = replace(one, settings=replace(one.settings, seed=5, threads=2, checkpoint_every=3))
    assert identity(one) == identity(other)
    assert identity(one) != identity(copy_config(batch_size=5))


def test_another_declaration_is_stale_and_not_counted(tmp_path: Path) -> None:
    changed = replace(RNN, config=copy_config(batch_size=5))
    results = kept(tmp_path, record(changed, 0))
    assert results.of(RNN, "full") == []
    assert [each.seed for each in results.stale(EXPERIMENT, "full")] == [0]


def test_a_setting_that_is_newer_than_the_record_has_its_default(tmp_path: Path) -> None:
    old = dict(record(RNN).config)
    del old["test_batches"]
    assert len(kept(tmp_path, record(RNN, config=old)).of(RNN, "full")) == 1


def test_a_configuration_that_this_version_does_not_know_is_stale(tmp_path: Path) -> None:
    results = kept(tmp_path, record(RNN, config={**record(RNN).config, "unknown": 1}))
    assert results.of(RNN, "full") == [] and len(results.stale(EXPERIMENT, "full")) == 1


def test_adding_is_seen_at_once(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert results.of(RNN, "full") == []
    results.add(record(RNN))
    results.add(record(RNN, accuracy=0.9))
    assert [each.scores["test"]["bit_accuracy"] for each in results.of(RNN, "full")] == [0.9]


def test_a_file_is_no_directory_of_records(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="--results"):
        require_readable(tmp_path / "file")
    assert require_readable(tmp_path / "absent").records == []


def test_the_quoted_row_has_no_records(tmp_path: Path) -> None:
    assert isinstance(QUOTED, Trial) and kept(tmp_path).of(QUOTED, "full") == []
