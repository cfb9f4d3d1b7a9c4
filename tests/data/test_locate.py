from __future__ import annotations

import pytest

from torchmann.core.errors import DataError
from torchmann.data.locate import VARIABLE, locate

CANDIDATES = ("set/data.gz", "set/data")


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_takes_the_first_candidate_that_exists(root):
    (root / "set/data").mkdir()
    assert locate("Set", CANDIDATES) == root / "set/data"
    (root / "set/data.gz").touch()
    assert locate("Set", CANDIDATES) == root / "set/data.gz"


def test_an_explicit_path_goes_before_the_variable(root, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    assert locate("Set", CANDIDATES, mine) == mine
    (mine / "set").mkdir()
    (mine / "set/data.gz").touch()
    assert locate("Set", CANDIDATES, str(mine)) == mine / "set/data.gz"


@pytest.mark.parametrize("value", [None, "", "no-such-folder"])
def test_errors_name_both_fixes(value, monkeypatch):
    if value is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(DataError, match=rf"^Set: .*set {VARIABLE} to .*--task\.data PATH"):
        locate("Set", CANDIDATES)


def test_variable_without_the_data_set(root):
    with pytest.raises(DataError, match="not found in"):
        locate("Set", CANDIDATES)


def test_explicit_path_that_does_not_exist(root):
    with pytest.raises(DataError, match=r"the path .*missing does not exist"):
        locate("Set", CANDIDATES, root / "missing")
