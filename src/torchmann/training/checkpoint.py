"""Checkpoints: what a run needs to go on, one file for each, of which some are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from torchmann.core.errors import DataError
from torchmann.training.tensor_file import load_tree, save_tree

NEWEST = 2
"""How many of the newest checkpoints are kept: if one of them is damaged, the other is good."""


class Checkpoints:
    """The checkpoints in a directory, each a tensor file with its iteration as its name.

    These are kept, all others are removed after a new one has been written:

    * the two newest;
    * the one with the best score on validation sequences;
    * those whose iteration is a multiple of `keep_every`, if that is given.

    Args:
        directory: where the files are.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, iteration: int) -> Path:
        """The file of an iteration's checkpoint."""
        return self.directory / f"{iteration:08}.safetensors"

    def iterations(self) -> list[int]:
        """Those of which there is a checkpoint, in order."""
        return sorted(int(path.stem) for path in self.directory.glob("*.safetensors") if path.stem.isdecimal())

    def save(self, iteration: int, content: Any, *, best: int, keep_every: int | None) -> None:
        """Write a checkpoint, then remove those that are no longer kept.

        Args:
            iteration: after which it is taken.
            content: as `save_tree` takes it.
            best: the iteration with the best score.
            keep_every: as in `Settings`.

        Raises:
            OSError: it cannot be written; the others are as they were.
        """
        save_tree(self.path(iteration), content)
        # Files of later iterations are damaged ones that a resumed run has passed over, and will write again.
        done = [known for known in self.iterations() if known <= iteration]
        for superseded in set(done) - kept(done, best, keep_every):
            self.path(superseded).unlink(missing_ok=True)

    def load(self, iteration: int) -> Any:
        """The content of a checkpoint.

        Raises:
            DataError: it is damaged or missing.
        """
        return load_tree(self.path(iteration))

    def newest(self, tell: Callable[[str], None], most: int | None = None) -> Any:
        """The content of the newest good checkpoint; None if there has never been one.

        Args:
            tell: takes one line for each damaged checkpoint that is passed over.
            most: of those up to this iteration; None: of all.

        Raises:
            DataError: all are damaged.
        """
        iterations = [known for known in self.iterations() if most is None or known <= most]
        for iteration in reversed(iterations):
            try:
                return self.load(iteration)
            except DataError as error:
                tell(f"{error} Trying the checkpoint before it.")
        if iterations:
            raise DataError(f"all checkpoints in {self.directory} are damaged: start the run anew with --overwrite.")
        return None

    def clear(self) -> None:
        """Remove all of them."""
        for iteration in self.iterations():
            self.path(iteration).unlink()


def kept(iterations: Collection[int], best: int, keep_every: int | None) -> set[int]:
    """Those of `iterations` whose checkpoints are kept, by the rule of `Checkpoints`."""
    newest = sorted(iterations)[-NEWEST:]
    return {i for i in iterations if i in newest or i == best or (keep_every is not None and i % keep_every == 0)}
