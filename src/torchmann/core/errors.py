"""The errors that torchmann raises: each message names the argument, what was expected, what came, and the fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ShapeError(ValueError):
    """A tensor has the wrong shape or dtype."""


class OptionError(ValueError):
    """An argument has a value that is not allowed."""


class DataError(RuntimeError):
    """A data file is missing, damaged or incomplete."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> OptionError:
    """The error for a name that is not in a registry; it suggests the nearest known one.

    Args:
        kind: what is named, e.g. ``"model"``.
        name: the unknown name.
        known: the names that exist.
    """
    choices = sorted(known)
    nearest = get_close_matches(str(name).lower(), choices, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return OptionError(f"unknown {kind} {name!r}: {hint}Known: {', '.join(choices)}.")


def require_positive(**values: int) -> None:
    """Raise `OptionError` unless each named value is an integer of at least one."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise OptionError(f"{name} must be an integer of at least 1, got {value!r}.")
