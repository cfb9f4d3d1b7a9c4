"""Errors say what is wrong and what to do."""

from __future__ import annotations

import pytest

from torchmann.core import DataError, OptionError, ShapeError, unknown_name
from torchmann.core.errors import require_positive


def test_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    error = unknown_name("model", "dcn", ["ntm", "dnc", "lstm"])
    assert isinstance(error, OptionError)
    assert str(error) == "unknown model 'dcn': did you mean 'dnc'? Known: dnc, lstm, ntm."


def test_unknown_name_without_a_near_one_only_lists() -> None:
    assert str(unknown_name("task", "zzz", ["copy"])) == "unknown task 'zzz': Known: copy."
    assert "did you mean 'dnc'" in str(unknown_name("model", "DNC2", ["dnc"])), "case does not matter"
    assert str(unknown_name("kind", 3, ["a"])) == "unknown kind 3: Known: a."


def test_errors_are_what_python_would_expect() -> None:
    assert issubclass(ShapeError, ValueError) and issubclass(OptionError, ValueError)
    assert issubclass(DataError, RuntimeError)


@pytest.mark.parametrize("value", [0, -3, 1.5, True, "4", None])
def test_positive_means_an_integer_of_at_least_one(value: object) -> None:
    with pytest.raises(OptionError, match="layers must be an integer of at least 1, got"):
        require_positive(slots=2, layers=value)  # type: ignore[arg-type]


def test_positive_integers_pass() -> None:
    require_positive(slots=1, width=128)
