from __future__ import annotations

import pytest

from torchmann.core.errors import DataError, OptionError
from torchmann.data import sources
from torchmann.data.locate import VARIABLE, downloads, locate

SET = sources.DataSet("Set", ("set/data.gz", "set/data"), ((),), "free")


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(sources.DATA_SETS, "set", SET)


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_takes_the_first_place_that_exists(root):
    (root / "set/data").mkdir()
    assert locate("set") == root / "set/data"
    (root / "set/data.gz").touch()
    assert locate("set") == root / "set/data.gz"


def test_an_explicit_path_goes_before_the_variable(root, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    assert locate("set", mine) == mine
    (mine / "set").mkdir()
    (mine / "set/data.gz").touch()
    assert locate("set", str(mine)) == mine / "set/data.gz"


def test_without_the_variable_downloads_go_to_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert downloads() == tmp_path / "torchmann/data"
    (downloads() / "set/data").mkdir(parents=True)
    assert locate("set") == downloads() / "set/data"


@pytest.mark.parametrize("value", [None, "", "no-such-folder"])
def test_errors_name_the_fixes(value, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(DataError, match=rf"^Set: .*torchmann download set\. Or set {VARIABLE} to .*--task\.data PATH"):
        locate("set")


def test_variable_without_the_data_set(root):
    with pytest.raises(DataError, match="not found in"):
        locate("set")


def test_explicit_path_that_does_not_exist(root):
    with pytest.raises(DataError, match=r"the path .*missing does not exist"):
        locate("set", root / "missing")


def test_unknown_set():
    with pytest.raises(OptionError, match="unknown data set 'bab': did you mean 'babi'"):
        locate("bab")


@pytest.mark.parametrize("name", sources.DATA_SETS)
def test_every_way_leads_to_a_place_in_which_it_is_found(name, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for way in sources.DATA_SETS[name].ways:
        for remote in way:
            path = tmp_path / remote.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            assert path.is_relative_to(locate(name))
            path.unlink()
