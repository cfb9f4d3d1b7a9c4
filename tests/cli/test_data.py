from __future__ import annotations

import hashlib

import pytest
from tests.data.server import CONTENT, serving

from torchmann.cli import main
from torchmann.data import DATA_SETS, DataSet
from torchmann.data.sources import Address, Remote


@pytest.fixture
def published(monkeypatch):
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    with serving() as (url, _):
        ways = ((Remote("set/file", (Address(f"{url}/whole", checksum),)),),)
        monkeypatch.setitem(DATA_SETS, "set", DataSet("The set", ("set",), ways, "free"))
        yield


def test_download(published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    assert main(["list", "data"]) == 0
    assert "The set" in (listed := capsys.readouterr().out) and "torchmann download set" in listed
    assert main(["download", "set"]) == 0
    assert capsys.readouterr().out == f"The set: {tmp_path / 'set'}, 0.3 MB\n"
    assert (tmp_path / "set/file").read_bytes() == CONTENT
    assert main(["list", "data"]) == 0
    assert str(tmp_path / "set") in capsys.readouterr().out


def test_download_into_a_folder(published, tmp_path, capsys):
    assert main(["download", "set", "--folder", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there/set/file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: names"),
        ("babbi", "unknown data set 'babbi': did you mean 'babi'?"),
        ("convex_hull", "published in no form to download. Put it in"),
        ("babi --directory x", "unknown flag --directory"),
    ],
)
def test_mistakes(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    assert main(["download", *line.split()]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
