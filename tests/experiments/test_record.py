from pathlib import Path

import pytest
from tests.experiments.tiny import experiment, record

from torchmann.core.errors import DataError
from torchmann.experiments.record import Record, Records, peak_memory, reset_peak_memory, rounded, thinned

TRIAL = experiment().trials[0]


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    kept = Records(tmp_path, "tiny/table1")
    kept.add(record(TRIAL, seed=1))
    kept.add(record(TRIAL, seed=0))
    assert [each.seed for each in kept.read()] == [0, 1]
    assert kept.read()[0].to_line() == record(TRIAL, seed=0).to_line()


def test_a_record_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    kept = Records(tmp_path, "tiny/table1")
    kept.add(record(TRIAL, accuracy=0.5))
    kept.add(record(TRIAL, accuracy=0.75))
    assert [each.scores["test"]["bit_accuracy"] for each in kept.read()] == [0.75]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "line 2"),
        ('{"format": 99}', "format 99"),
        ("[]", "format None"),
        ('{"format": 1, "seed": 3}', "missing"),
    ],
)
def test_a_damaged_file_names_the_line_and_what_to_do(tmp_path: Path, line: str, said: str) -> None:
    kept = Records(tmp_path, "tiny/table1")
    kept.add(record(TRIAL))
    kept.path.write_text(kept.path.read_text() + line + "\n")
    with pytest.raises(DataError, match=said) as raised:
        kept.read()
    assert "line 2" in str(raised.value) and "run that seed again" in str(raised.value)


def test_a_full_disk_leaves_the_earlier_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Records(tmp_path, "tiny/table1")
    kept.add(record(TRIAL, seed=0))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.add(record(TRIAL, seed=1))
    monkeypatch.undo()
    assert [each.seed for each in kept.read()] == [0]


def test_a_curve_has_the_points_that_have_a_value() -> None:
    assert record(TRIAL).curve("train:loss") == ([2, 6], [0.9, 0.5])
    assert record(TRIAL).curve("train:unknown") == ([], [])
    assert record(TRIAL).curve("validation:loss") == ([], [])


def test_thinning_keeps_the_last_point() -> None:
    assert thinned(list(range(10)), 10) == list(range(10))
    assert thinned(list(range(11)), 5) == [1, 4, 7, 10]
    assert thinned([], 5) == []


def test_rounding() -> None:
    assert rounded(0.123456789) == 0.12346
    assert rounded(float("nan")) is None and rounded(None) is None and rounded(float("inf")) is None


def test_the_peak_is_that_since_the_reset() -> None:
    if peak_memory() is None:
        pytest.skip("the system does not tell")
    reset_peak_memory()
    before = peak_memory()
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    during = peak_memory()
    del block
    assert before is not None and during is not None and during - before > 48 << 20


def test_of_a_line() -> None:
    assert Record.from_line(record(TRIAL).to_line()).key == ("full", "RNN | copy", 0)
