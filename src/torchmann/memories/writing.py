"""Writing policies: at which steps the memory is used, known before the unroll.

A policy gives the kind of each step:

* ``"dense"``: a complete step;
* ``"hold"``: only the controller runs, memory and reads stay as they are;
* ``"hold_write"``: the memory is read, but not written;
* ``"hold_read"``: the memory is written, but the last reads stay;
* ``"cache"``: as hold, and the controller's last hidden vector goes into a cache;
* ``"cached"``: a complete step in which an attention over the cache takes the place of the last hidden vector.

Positions are absolute: a sequence may come in chunks.
Source: "Learning to remember more with less memorization"; random writing is a control of the same study.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, Protocol

from torchmann.core.cell import DENSE
from torchmann.core.errors import OptionError, require_positive, unknown_name

HOLD, HOLD_WRITE, HOLD_READ = "hold", "hold_write", "hold_read"
CACHE, CACHED = "cache", "cached"

_HELD = {"both": HOLD, "write": HOLD_WRITE, "read": HOLD_READ}
Held = Literal["both", "write", "read"]


class WritingPolicy(Protocol):
    """Anything that gives the kind of each step."""

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """The kinds of steps ``start, ..., start + length - 1`` (counted from 0)."""


def optimal_interval(length: int, slots: int) -> int:
    """``L = max(1, floor(T / (D + 1)))``: the interval that memorises a sequence of T steps best in D slots."""
    require_positive(length=length, slots=slots)
    return max(1, length // (slots + 1))


class EveryStep:
    """A complete memory step each time."""

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """All dense."""
        return [DENSE] * length

    def __repr__(self) -> str:
        return "EveryStep()"


class Uniform:
    """Uniform writing (UW): a complete memory step at every interval-th step.

    Args:
        interval: L, in steps; `optimal_interval` derives it.
        positions: ``"paper"``: steps L, 2L, ... counted from 1; ``"released"``: L, 2L, ... counted from 0.
        hold: what is held in between: ``"both"``, only ``"write"``, or only ``"read"``.
    """

    references = ("uw",)

    def __init__(self, interval: int, positions: Literal["paper", "released"] = "paper", hold: Held = "both") -> None:
        require_positive(interval=interval)
        if positions not in ("paper", "released"):
            raise unknown_name("positions", positions, ("paper", "released"))
        self.interval, self.positions, self.hold = interval, positions, hold
        self._held = _held_kind(hold)

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """Dense at the positions, held elsewhere."""
        first = 1 if self.positions == "paper" else 0
        numbers = range(start + first, start + first + length)
        return [self._held if number % self.interval or number == 0 else DENSE for number in numbers]

    def __repr__(self) -> str:
        return f"Uniform({self.interval}, positions={self.positions!r}, hold={self.hold!r})"


class CachedUniform:
    """Cached uniform writing (CUW): at every interval-th step an attention over the hidden vectors since is written.

    The attention weighs the last `interval` hidden vectors; their mixture replaces the controller's hidden vector at
    the writing step (`torchmann.cells.CacheAttention`).

    Args:
        interval: L, in steps, and the size of the cache.
        attention_size: dimension of the attention's comparison.
    """

    references = ("uw",)

    def __init__(self, interval: int, attention_size: int = 16) -> None:
        require_positive(interval=interval, attention_size=attention_size)
        self.interval, self.attention_size = interval, attention_size

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """Cached at steps L, 2L, ... counted from 1, caching elsewhere."""
        return [CACHE if (step + 1) % self.interval else CACHED for step in range(start, start + length)]

    def __repr__(self) -> str:
        return f"CachedUniform({self.interval}, attention_size={self.attention_size})"


class RandomSteps:
    """Random writing (RW): a complete memory step with a given probability, at positions fixed by the seed.

    Args:
        probability: of a complete step; the study takes (D + 1) / T.
        seed: names the positions: whether a step is dense depends on seed and step alone.
        hold: what is held in between: ``"both"``, only ``"write"``, or only ``"read"``.
    """

    references = ("uw",)

    def __init__(self, probability: float, seed: int = 0, hold: Held = "both") -> None:
        if not 0 <= probability <= 1:
            raise OptionError(f"probability must be in [0, 1], got {probability}.")
        self.probability, self.seed, self.hold = probability, seed, hold
        self._held = _held_kind(hold)

    def schedule(self, length: int, start: int = 0) -> Sequence[str]:
        """Each step for itself."""
        draws = (random.Random(f"{self.seed}/{step}").random() for step in range(start, start + length))
        return [DENSE if draw < self.probability else self._held for draw in draws]

    def __repr__(self) -> str:
        return f"RandomSteps({self.probability}, seed={self.seed}, hold={self.hold!r})"


class DenseFrom:
    """A policy up to a step, dense from there on: encode sparsely, decode with the whole memory.

    Args:
        policy: of the steps before; a cell will do, which has a schedule too.
        step: the first dense step, counted from 0, e.g. `Batch.first_answer_step`.
    """

    def __init__(self, policy: WritingPolicy, step: int) -> None:
        if step < 0:
            raise OptionError(f"step must be at least 0, got {step}.")
        self.policy, self.step = policy, step

    @property
    def references(self) -> tuple[str, ...]:
        """The policy's."""
        return getattr(self.policy, "references", ())

    def schedule(self, length: int, start: int = 0) -> Sequence[Hashable]:
        """The policy's kinds before the step, dense after."""
        kinds = self.policy.schedule(length, start)
        return [kind if start + offset < self.step else DENSE for offset, kind in enumerate(kinds)]

    def __repr__(self) -> str:
        return f"DenseFrom({self.policy!r}, {self.step})"


_FORMS: dict[str, tuple[Callable[..., WritingPolicy], tuple[type, ...]]] = {
    "uniform": (Uniform, (int, str)),
    "cached": (CachedUniform, (int, int)),
    "random": (RandomSteps, (float, int)),
}
"""What a text form makes, and what its words are: the first must be there."""


def policy_from(text: str) -> WritingPolicy:
    """A policy from its text form.

    ``"every"``, ``"uniform:L"`` or ``"uniform:L:released"`` (its positions), ``"cached:L"`` or ``"cached:L:A"`` (the
    size of its attention), ``"random:P"`` or ``"random:P:S"`` (its seed).

    Raises:
        OptionError: another text.
    """
    name, *words = text.split(":")
    if name == "every" and not words:
        return EveryStep()
    if name in _FORMS:
        make, kinds = _FORMS[name]
        try:
            if 1 <= len(words) <= len(kinds):
                return make(*(kind(word) for kind, word in zip(kinds, words, strict=False)))
        except ValueError as error:
            if isinstance(error, OptionError):
                raise
    raise OptionError(
        f"writing must be 'every', 'uniform:L' or 'cached:L' with an interval L in steps, or 'random:P' with a "
        f"probability P, got {text!r}."
    )


def cached_writing(policy: WritingPolicy) -> CachedUniform | None:
    """The cached writing that a policy needs a cache for, if it does any."""
    inner = _before_dense(policy)
    return inner if isinstance(inner, CachedUniform) else None


def held_kind(policy: WritingPolicy) -> str:
    """The kind of a policy's steps in between, if it has any: what the memory must be able to do."""
    inner = _before_dense(policy)
    return _HELD[inner.hold] if isinstance(inner, Uniform | RandomSteps) else HOLD


def _before_dense(policy: WritingPolicy) -> WritingPolicy:
    """What decides before the steps become dense."""
    while isinstance(policy, DenseFrom):
        policy = policy.policy
    return policy


def _held_kind(hold: str) -> str:
    if hold not in _HELD:
        raise unknown_name("hold", hold, _HELD)
    return _HELD[hold]
