"""Small bAbI data sets, written by the tests themselves."""

from __future__ import annotations

import tarfile
from pathlib import Path

PEOPLE = ("Mary", "John", "Sandra", "Daniel")
PLACES = ("garden", "office", "kitchen", "hallway", "bathroom")


def story(number: int) -> str:
    """A story of two statements and two questions; the second answer has two words."""
    who, other = PEOPLE[number % 4], PEOPLE[(number // 4) % 4]
    where, there = PLACES[number % 5], PLACES[(number // 5) % 5]
    return (
        f"1 {who} moved to the {where}.\n"
        f"2 {other} took the apple to the {there}.\n"
        f"3 Where is {who}? \t{where}\t1\n"
        f"4 Where are they? \t{where},{there}\t1 2\n"
    )


def write_folder(root: Path, tasks: tuple[int, ...] = (1, 2), stories: int = 40, name: str = "en-10k") -> Path:
    """Write train and test files of some tasks; returns the folder ``tasks_1-20_v1-2``."""
    base = root / "tasks_1-20_v1-2"
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        train = "".join(story(3 * task + k) for k in range(stories))
        test = "".join(story(7 * task + k) for k in range(stories // 4))
        (folder / f"qa{task}_made-up_train.txt").write_text(train)
        (folder / f"qa{task}_made-up_test.txt").write_text(test)
    return base


def pack(base: Path, archive: Path) -> Path:
    """Pack the folder as the published archive is."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(base, arcname=base.name)
    return archive
