"""Search: which values of which flags are tried, all combinations of them or some drawn at random.

An axis is written ``FLAG=VALUES``. Values are choices, ``8,16,32``, or a range to draw from: ``uniform:LOW:HIGH`` or
``log:LOW:HIGH``, of whole numbers where both ends are whole. A choice with a comma stands in brackets or quotes.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from torchmann.core.errors import OptionError, require_positive

Values = Mapping[str, str]
"""The flags of one point, each with its value as it would be typed."""

CHOICE = re.compile(r"""(?:"[^"]*"|'[^']*'|\[[^\]]*\]|\{[^}]*\}|[^,])+""")
RANGE = re.compile(r"(uniform|log):([^:,]+):([^:,]+)")

DRAWS = 1000
"""Attempts for each point that is to be new."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends.

    Args:
        low: the lower end.
        high: the upper end, above the lower one.
        log: equal ratios are equally likely, not equal differences.
        whole: whole numbers only, both ends included.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, source: random.Random) -> str:
        """One number, as it is typed."""
        pad = 0.5 if self.whole else 0.0  # so that the ends are as likely as the numbers between them
        low, high = self.low - pad, self.high + pad
        number = math.exp(source.uniform(math.log(low), math.log(high))) if self.log else source.uniform(low, high)
        return str(min(max(round(number), int(self.low)), int(self.high))) if self.whole else f"{number:.4g}"


@dataclass(frozen=True)
class Axis:
    """A flag with what it can be.

    Args:
        flag: without its dashes.
        values: choices, or the range that they are drawn from.
    """

    flag: str
    values: tuple[str, ...] | Range

    def draw(self, source: random.Random) -> str:
        """One of the values."""
        return self.values.draw(source) if isinstance(self.values, Range) else source.choice(self.values)


def axis(text: str) -> Axis:
    """What ``FLAG=VALUES`` says.

    Raises:
        OptionError: it does not have this form, a value stands twice, or a range has no length.
    """
    flag, equals, written = text.removeprefix("--").partition("=")
    if not flag or not equals or not written:
        raise OptionError(f"--grid is written FLAG=VALUE,VALUE, such as --grid model.slots=8,16; got {text!r}.")
    if found := RANGE.fullmatch(written):
        return Axis(flag, _range(flag, *found.groups()))
    choices = tuple(_unquoted(choice.strip()) for choice in CHOICE.findall(written))
    twice = [choice for choice in choices if choices.count(choice) > 1]
    if twice:
        raise OptionError(f"--grid {flag}: the value {twice[0]} stands twice; leave one out.")
    return Axis(flag, choices)


def every(axes: Sequence[Axis]) -> list[Values]:
    """All combinations; the last axis changes fastest.

    Raises:
        OptionError: an axis is a range.
    """
    choices = []
    for each in axes:
        if isinstance(each.values, Range):
            raise OptionError(f"--grid {each.flag} is a range: say how many points to draw with --random N.")
        choices.append(each.values)
    flags = [each.flag for each in axes]
    return [dict(zip(flags, values, strict=True)) for values in product(*choices)]


def drawn(axes: Sequence[Axis], number: int, seed: int) -> list[Values]:
    """So many different points, drawn independently; the first of them are the same for any number.

    Raises:
        OptionError: there are fewer.
    """
    require_positive(random=number)
    source, found = random.Random(seed), list[Values]()
    for _ in range(number * DRAWS):
        point = {each.flag: each.draw(source) for each in axes}
        if point not in found:
            found.append(point)
        if len(found) == number:
            return found
    raise OptionError(f"--random {number}: there are only {len(found)} points; ask for fewer, or leave --random out.")


def require_different(axes: Sequence[Axis]) -> None:
    """Raise `OptionError` unless there is an axis and no flag has two."""
    flags = [each.flag for each in axes]
    twice = [flag for flag in flags if flags.count(flag) > 1]
    if twice:
        raise OptionError(f"--grid {twice[0]} stands twice: give all its values at once, as {twice[0]}=VALUE,VALUE.")
    if not axes:
        raise OptionError("say what to try with --grid FLAG=VALUE,VALUE, such as --grid model.slots=8,16.")


def _range(flag: str, kind: str, low: str, high: str) -> Range:
    try:
        ends = float(low), float(high)
    except ValueError:
        raise OptionError(f"--grid {flag}: {kind}:LOW:HIGH takes two numbers, got {low!r} and {high!r}.") from None
    if not ends[0] < ends[1] or (kind == "log" and ends[0] <= 0):
        raise OptionError(
            f"--grid {flag}: {kind}:LOW:HIGH needs LOW below HIGH{' and above 0' if kind == 'log' else ''}, "
            f"got {low} and {high}."
        )
    whole = all(re.fullmatch(r"[+-]?\d+", end.strip()) for end in (low, high))
    return Range(*ends, log=kind == "log", whole=whole)


def _unquoted(choice: str) -> str:
    return choice[1:-1] if len(choice) > 1 and choice[0] == choice[-1] and choice[0] in "\"'" else choice
