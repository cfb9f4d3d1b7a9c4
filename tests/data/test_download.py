from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tests.data.server import CONTENT, serving

from torchmann.core.errors import DataError
from torchmann.data import DATA_SETS, DataSet, download
from torchmann.data.sources import Address, Remote

CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server():
    with serving() as (url, ranges):
        yield SimpleNamespace(url=url, ranges=ranges)


@pytest.fixture
def publish(monkeypatch, server):
    """Make a data set of one file with these addresses known."""

    def published(*paths, checksum=CHECKSUM, size=None):
        addresses = tuple(Address(path if "://" in path else server.url + path, checksum) for path in paths)
        way = (Remote("set/file", addresses, size),)
        monkeypatch.setitem(DATA_SETS, "set", DataSet("Set", ("set",), (way,), "free"))

    return published


def test_comes_whole_and_only_once(publish, server, tmp_path):
    publish("/whole")
    seen = []
    for _ in range(2):
        paths = download("set", tmp_path, lambda *progress: seen.append(progress))
        assert paths == [tmp_path / "set/file"] and paths[0].read_bytes() == CONTENT
    assert server.ranges == [None]
    assert seen[-1] == ("file", len(CONTENT), len(CONTENT))
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) in (["file"], ["file", "file.lock"])


def test_goes_on_where_it_broke_off(publish, server, tmp_path):
    publish("/broken")
    with pytest.raises(DataError, match="Set cannot be downloaded: file did not come from http"):
        download("set", tmp_path)
    came = (tmp_path / "set/file.part").stat().st_size
    assert 0 < came <= len(CONTENT) // 2
    assert not (tmp_path / "set/file").exists()
    publish("/whole")
    assert download("set", tmp_path)[0].read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={came}-"]


def test_a_part_that_is_whole_already(publish, tmp_path):
    publish("/whole")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.part").write_bytes(CONTENT)
    assert download("set", tmp_path)[0].read_bytes() == CONTENT


def test_the_mirror_takes_over(publish, tmp_path):
    publish("/absent", "http://127.0.0.1:9/refused", "/other", "/whole")
    assert download("set", tmp_path)[0].read_bytes() == CONTENT


def test_the_other_way_takes_over(publish, monkeypatch, server, tmp_path):
    ways = (
        (Remote("set/a", (Address(f"{server.url}/absent"),)),),
        (Remote("set/b", (Address(f"{server.url}/whole"),)), Remote("set/c", (Address(f"{server.url}/other"),))),
    )
    monkeypatch.setitem(DATA_SETS, "set", DataSet("Set", ("set",), ways, "free"))
    assert [path.name for path in download("set", tmp_path)] == ["b", "c"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/absent", "the server answers 404"),
        ("/other", "damaged or another file"),
        ("http://127.0.0.1:9/x", "no connection"),
    ],
)
def test_one_error_with_every_reason_and_a_way_out(publish, tmp_path, path, reason):
    publish(path)
    with pytest.raises(DataError, match=rf"{reason}.* Put it in {tmp_path / 'set'} yourself") as error:
        download("set", tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "set/file").exists()


def test_a_wrong_file_is_not_gone_on_with(publish, tmp_path):
    publish("/other")
    with pytest.raises(DataError):
        download("set", tmp_path)
    publish("/whole")
    assert download("set", tmp_path)[0].read_bytes() == CONTENT


def test_a_full_disk_is_said_before_anything_comes(publish, server, tmp_path, monkeypatch):
    publish("/whole", size=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(OSError, match=r"1,000,000,000 bytes are needed and 1,000,000 are free\. Make room"):
        download("set", tmp_path)
    assert server.ranges == []


def test_a_folder_that_cannot_be_made(publish, tmp_path):
    publish("/whole")
    (tmp_path / "set").touch()
    with pytest.raises(OSError, match=r"cannot write .*set/file"):
        download("set", tmp_path)


def test_two_at_once(publish, server, tmp_path):
    publish("/whole")
    with ThreadPoolExecutor(4) as pool:
        for paths in pool.map(lambda _: download("set", tmp_path), range(4)):
            assert paths[0].read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_set_that_is_nowhere_to_download(tmp_path):
    with pytest.raises(DataError, match=r"published in no form to download\. Put it in"):
        download("convex_hull", tmp_path)
