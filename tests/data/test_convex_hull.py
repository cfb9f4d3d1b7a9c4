from __future__ import annotations

import gzip
import random

import pytest
import torch
from tests.data.hull_files import write

from torchmann.core.errors import DataError
from torchmann.data.convex_hull import load_convex_hulls

SQUARE = "0.1 0.1 0.9 0.1 0.5 0.4 0.9 0.9 0.1 0.9 output 1 2 4 5 1 \n"
TRIANGLE = "0.25 0.5 0 0 1 0 output 1 2 3 1\n"


def load(path, split="test", low=3, high=20, allow_partial=True):
    return load_convex_hulls(split, path, min_points=low, max_points=high, allow_partial=allow_partial)


@pytest.mark.parametrize("name", ["convex_hull_5_test.txt", "convex_hull_5_test.txt.gz"])
def test_reads_points_and_corners(tmp_path, name):
    hulls = load(write(tmp_path, name, [SQUARE, TRIANGLE]))
    assert hulls.counts_B.tolist() == [5, 3]
    assert hulls.corners_BS.tolist() == [[0, 1, 3, 4, 0], [0, 1, 2, 0, -1]]
    square, triangle = hulls.points_BN2.tolist()
    assert square == [[0.1, 0.1], [0.9, 0.1], [0.5, 0.4], [0.9, 0.9], [0.1, 0.9]]
    assert triangle == [[0.25, 0.5], [0, 0], [1, 0], [0, 0], [0, 0]]


def test_rows_are_no_wider_than_needed(tmp_path):
    hulls = load(write(tmp_path, "convex_hull_5_test.txt", [SQUARE, TRIANGLE, TRIANGLE]))
    last = hulls.rows(slice(1, 3))
    assert last.points_BN2.shape == (2, 3, 2) and last.corners_BS.tolist() == [[0, 1, 2, 0]] * 2
    assert hulls.rows(torch.tensor([2, 0])).counts_B.tolist() == [3, 5]


def test_only_the_asked_sizes_are_kept_and_cached_apart(tmp_path):
    path = write(tmp_path, "convex_hull_3_test.txt", [SQUARE, TRIANGLE])
    assert load(path, high=4).counts_B.tolist() == [3]
    assert load(path, low=4).counts_B.tolist() == [5]
    assert load(path).counts_B.tolist() == [5, 3]
    with pytest.raises(DataError, match="no instance has 4 to 4 points"):
        load(path, low=4, high=4)


def test_files_of_a_folder_in_order_of_their_points_each_once(tmp_path):
    folder = tmp_path / "convex_hull"
    folder.mkdir()
    write(folder, "convex_hull_10_test.txt", [TRIANGLE])
    write(folder, "convex_hull_5_test.txt", [SQUARE])
    write(folder, "convex_hull_5_test.txt.gz", [TRIANGLE])
    write(folder, "convex_hull_50_test.txt", ["not read, for its instances are too large"])
    write(folder, "convex_hull_5-50_train.txt", [TRIANGLE, TRIANGLE])
    write(folder, "readme.txt", ["unrelated"])
    for place in (folder, tmp_path):
        assert load(place).counts_B.tolist() == [5, 3]
        assert load(place, "train").counts_B.tolist() == [3, 3]
    assert load(folder, high=9).counts_B.tolist() == [5]


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no file convex_hull_N_test.txt .* of 3 to 20 points"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"holds no file convex_hull_N_train\.txt"):
        load(write(tmp_path, "convex_hull_5_test.txt", [SQUARE]), "train")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.1 0.1 0.9 0.1 0.5 0.4\n", "expected x1 y1"),
        ("\n", "expected x1 y1"),
        ("output 1 2 3 1\n", "expected x1 y1"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 0.2 output 1 2 3 1\n", "expected x1 y1"),
        ("0.1 0.1 0.9 0.1 0.5 0.x output 1 2 3 1\n", "could not convert"),
        ("0.1 0.1 0.9 0.1 0.5 nan output 1 2 3 1\n", "a coordinate is not in"),
        ("0.1 0.1 0.9 0.1 0.5 1.5 output 1 2 3 1\n", "a coordinate is not in"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 1 2 3\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 1 1\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 1 2 2 1\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 0 1 2 0\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 2 3 4 2\n", "the hull is not"),
        ("0.1 0.1 0.9 0.1 0.5 0.4 output 1 2 x 1\n", "invalid literal"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, reason):
    path = write(tmp_path, "convex_hull_5_test.txt", [TRIANGLE, line, TRIANGLE])
    with pytest.raises(DataError, match=rf"5_test.txt, line 2: {reason}.*Get the file again"):
        load(path)


def test_damaged_files_give_one_clear_error(tmp_path):
    whole = gzip.compress("".join([SQUARE, TRIANGLE] * 50).encode(), mtime=0)
    name = "convex_hull_5_test.txt"
    for content, message in {
        b"": "is empty",
        whole[: len(whole) // 2]: "is damaged",
        b"not packed": "is damaged",
        gzip.compress(SQUARE.encode("utf-16"), mtime=0): "is not UTF-8",
        gzip.compress(SQUARE.encode("utf-16-le"), mtime=0): "line 1: expected",
    }.items():
        (tmp_path / f"{name}.gz").write_bytes(content)
        with pytest.raises(DataError, match=message):
            load(tmp_path)


def test_bytes_changed_at_random_are_an_error_or_still_an_instance(tmp_path):
    chance, text = random.Random(0), (SQUARE + TRIANGLE).encode()
    for number in range(150):
        damaged = bytearray(text)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(text))] = chance.randrange(256)
        path = write(tmp_path, f"convex_hull_{number % 15 + 5}_test.txt", [])
        path.write_bytes(damaged)
        try:
            hulls = load(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert ((hulls.points_BN2 >= 0) & (hulls.points_BN2 <= 1)).all()
            assert (hulls.corners_BS < hulls.counts_B.unsqueeze(1)).all()


def test_a_published_file_must_be_whole_unless_less_will_do(tmp_path):
    path = write(tmp_path, "convex_hull_5_test.txt", [TRIANGLE])
    with pytest.raises(DataError, match=r"is partial: 1 of 10,000 instances.*--allow-partial"):
        load(path, allow_partial=False)
    assert len(load(path).counts_B) == 1
    with pytest.raises(DataError, match="is partial"):  # not from the cache either
        load(path, allow_partial=False)
    other = write(tmp_path, "convex_hull_7_test.txt", [TRIANGLE])
    assert len(load(other, allow_partial=False).counts_B) == 1
