from __future__ import annotations

import gzip
import lzma
import re
import tarfile
import zipfile

import pytest

from torchmann.core.errors import DataError
from torchmann.data.reading import content, decoded, members, require_complete

TEXT = re.compile(r"(\w+)\.txt$")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set/part").mkdir(parents=True)
    (tmp_path / "set/part/b.txt").write_text("two")
    (tmp_path / "set/a.txt").write_text("one")
    (tmp_path / "set/c.csv").write_text("three")
    return tmp_path / "set"


def packed(folder, ending):
    path = folder.parent / f"set{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(folder.parent))
    else:
        with tarfile.open(path, f"w:{ending.rpartition('.')[2].replace('tgz', 'gz').replace('tar', '')}") as archive:
            archive.add(folder, "set")
    return path


@pytest.mark.parametrize("ending", ["", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"])
def test_members(folder, ending):
    path = packed(folder, ending) if ending else folder
    found = {match[1]: (place, data) for place, match, data in members(path, TEXT)}
    assert {name: data for name, (_, data) in found.items()} == {"a": b"one", "b": b"two"}
    assert all(place.startswith(str(path)) for place, _ in found.values())


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_truncated_archives(folder, ending, share):
    path = packed(folder, ending)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"set{re.escape(ending)} is damaged, or is not what its name says") as error:
        list(members(path, TEXT))
    assert "\n" not in str(error.value)


def test_absent_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        content(tmp_path / "absent.gz")


@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_content(tmp_path, ending, pack):
    path = tmp_path / f"file{ending}"
    path.write_bytes(pack(b"text"))
    assert content(path) == b"text"
    path.write_bytes(pack(b""))
    with pytest.raises(DataError, match="is empty"):
        content(path)
    if ending:
        path.write_bytes(pack(b"text" * 100)[:-4])
        with pytest.raises(DataError, match="is damaged"):
            content(path)


def test_other_encodings_are_refused():
    assert decoded("näher".encode(), "here") == "näher"
    with pytest.raises(DataError, match="here is not UTF-8 text"):
        decoded("näher".encode("latin-1"), "here")


def test_partial_files():
    require_complete("file", 5, 5, "rows", allow_partial=False)
    require_complete("file", 4, 5, "rows", allow_partial=True)
    with pytest.raises(DataError, match=r"file is partial: 4 of 5 rows\. .*--allow-partial"):
        require_complete("file", 4, 5, "rows", allow_partial=False)
    with pytest.raises(DataError, match="has 6 rows, the published file 5"):
        require_complete("file", 6, 5, "rows", allow_partial=True)
