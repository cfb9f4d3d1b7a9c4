from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchmann.core import DataError
from torchmann.training.checkpoint import Checkpoints, kept


@given(iterations=st.sets(st.integers(1, 60)), best=st.integers(0, 60), keep_every=st.none() | st.integers(1, 20))
def test_the_rule(iterations: set[int], best: int, keep_every: int | None) -> None:
    stays = kept(iterations, best, keep_every)
    assert stays <= iterations and stays >= set(sorted(iterations)[-2:]) and (best in stays) == (best in iterations)
    others = stays - set(sorted(iterations)[-2:]) - {best}
    assert others == {i for i in iterations if keep_every and i % keep_every == 0} & others
    assert not keep_every or {i for i in iterations if i % keep_every == 0} <= stays


def save(checkpoints: Checkpoints, iteration: int, best: int = 0, keep_every: int | None = None) -> None:
    checkpoints.save(iteration, {"weight": torch.tensor(iteration)}, best=best, keep_every=keep_every)


def test_what_is_no_longer_kept_is_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for iteration in range(1, 11):
        save(checkpoints, iteration, best=3 if iteration >= 3 else 1, keep_every=4)
    assert checkpoints.iterations() == [3, 4, 8, 9, 10]
    assert checkpoints.load(3) == {"weight": torch.tensor(3)}
    assert {path.name for path in tmp_path.iterdir()} == {f"{i:08}.safetensors" for i in (3, 4, 8, 9, 10)}


def test_a_damaged_one_from_the_future_is_left_until_it_is_written_again(tmp_path: Path) -> None:
    """After a fall back the newest good checkpoint must survive, though a damaged file has a higher number."""
    checkpoints = Checkpoints(tmp_path)
    for iteration in (5, 6):
        save(checkpoints, iteration)
    checkpoints.path(9).write_bytes(b"half")
    told: list[str] = []
    assert checkpoints.newest(told.append) == {"weight": torch.tensor(6)} and len(told) == 1
    save(checkpoints, 7)
    assert checkpoints.iterations() == [6, 7, 9], "two good ones"
    for iteration in (8, 9):
        save(checkpoints, iteration)
    assert checkpoints.iterations() == [8, 9]
    assert checkpoints.newest(told.append) == {"weight": torch.tensor(9)} and len(told) == 1


def test_none_and_none_good_are_two_things(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest(pytest.fail) is None
    for iteration in (1, 2):
        checkpoints.path(iteration).write_bytes(b"")
    told: list[str] = []
    with pytest.raises(DataError, match=r"all checkpoints in .* are damaged"):
        checkpoints.newest(told.append)
    assert len(told) == 2


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "notes.safetensors").write_bytes(b"")
    (tmp_path / ".00000003.safetensors.unfinished").write_bytes(b"")
    assert Checkpoints(tmp_path).iterations() == []
    assert Checkpoints(tmp_path / "missing").iterations() == []
