"""Curricula: which sizes of its task a model is trained on, and when.

The texts are ``NAME=RULE``, several of them joined by commas, e.g. ``length=growing:1:500,repeats=uniform``. NAME is a
size of the task (see `Sizes`), and its own range is what a curriculum ends with or stays within::

    fixed                     the task as it is
    NAME=uniform              every batch has one size, drawn uniformly from the task's range
    NAME=growing:START:EVERY  sizes up to START, and up to one more after every so many iterations
    NAME=loss:START:BELOW     sizes up to START, and up to twice as many whenever the training loss is below BELOW

Evaluation is always on the whole task.

Sources: Bengio et al. 2009, "Curriculum learning"; Zaremba, Sutskever 2014, "Learning to execute" (growing by a fixed
plan); Rae et al. 2016, "Scaling memory-augmented neural networks with sparse reads and writes" (doubling by the loss,
sizes uniform up to the present limit).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from torchmann.core.errors import DataError, OptionError, require_positive, unknown_name
from torchmann.tasks import Task
from torchmann.training.sizes import Range, Sizes

if TYPE_CHECKING:  # the loop uses curricula, and a configuration knows the loop's settings
    from torchmann.training.config import Choice


class Rule(Protocol):
    """Says which range of one size an iteration is trained on."""

    def range(self, iteration: int) -> Range:
        """The range at an iteration, counted from 0."""

    def observe(self, loss: float) -> None:
        """Take notice of the mean training loss of the last iterations."""


class Uniform:
    """One size for a whole batch, so that nothing is padded: a pure function of the iteration.

    Args:
        whole: the range of the sizes.
        stream: names the random numbers.
    """

    def __init__(self, whole: Range, stream: str) -> None:
        self.whole, self.stream = whole, stream

    def range(self, iteration: int) -> Range:
        """The same size twice."""
        low, high = self.whole
        digest = hashlib.blake2b(f"{self.stream}/{iteration}".encode(), digest_size=8).digest()
        size = low + int.from_bytes(digest, "big") % (high - low + 1)
        return size, size

    def observe(self, loss: float) -> None:
        """The loss does not matter."""


class Growing:
    """The limit grows by one after every so many iterations.

    Args:
        whole: the range that is reached at last.
        start: the limit at first.
        every: iterations.
    """

    def __init__(self, whole: Range, start: int, every: int) -> None:
        require_positive(every=every)
        self.whole, self.start, self.every = whole, start, every

    def range(self, iteration: int) -> Range:
        """From the smallest size to the limit."""
        low, high = self.whole
        return low, min(high, self.start + iteration // self.every)

    def observe(self, loss: float) -> None:
        """The loss does not matter."""


class LossDriven:
    """The limit doubles whenever the mean training loss between two lines of the metrics is low enough.

    Args:
        whole: the range that is reached at last.
        start: the limit at first.
        below: the loss at which it doubles.

    Attributes:
        limit: at present; all that a checkpoint must keep.
    """

    def __init__(self, whole: Range, start: int, below: float) -> None:
        if not below > 0:
            raise OptionError(f"the loss below which a curriculum goes on must be above 0, got {below}.")
        self.whole, self.limit, self.below = whole, start, below

    def range(self, iteration: int) -> Range:
        """From the smallest size to the limit."""
        return self.whole[0], self.limit

    def observe(self, loss: float) -> None:
        """Double the limit if `loss` is low enough."""
        if loss < self.below:
            self.limit = min(2 * self.limit, self.whole[1])


class Curriculum:
    """The task of each iteration.

    Args:
        sizes: of the task.
        rules: for some of the sizes, by name; the others stay as they are.
    """

    def __init__(self, sizes: Sizes, rules: Mapping[str, Rule]) -> None:
        self.sizes, self.rules = sizes, dict(rules)
        self.task(0)  # what a task refuses, it should refuse before training

    def task(self, iteration: int) -> Task:
        """What an iteration, counted from 0, is trained on."""
        return self.sizes.task({name: rule.range(iteration) for name, rule in self.rules.items()})

    def observe(self, loss: float) -> None:
        """Take notice of the mean training loss since the last call."""
        for rule in self.rules.values():
            rule.observe(loss)

    def state_dict(self) -> dict[str, int]:
        """What does not follow from the iteration: the present limits by name."""
        return {name: rule.limit for name, rule in self.rules.items() if isinstance(rule, LossDriven)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from `state`.

        Raises:
            DataError: it is that of another curriculum.
        """
        if state.keys() != self.state_dict().keys():
            raise DataError(
                f"the state of a curriculum has the sizes {sorted(state)}, expected {sorted(self.state_dict())}."
            )
        for name, limit in state.items():
            rule = self.rules[name]
            assert isinstance(rule, LossDriven)
            rule.limit = limit


RULES = {"uniform": (), "growing": ("START", "EVERY"), "loss": ("START", "BELOW")}
"""What each rule is written with."""


def curriculum_from(text: str, choice: Choice, *, seed: int = 0) -> Curriculum:
    """The curriculum that a text describes, as at the top of this file.

    Args:
        text: ``"fixed"``, or ``NAME=RULE`` joined by commas.
        choice: the task whose sizes are named.
        seed: of what is drawn.

    Raises:
        OptionError: a text that is none, an unknown rule or size, or a start outside the task's range.
    """
    sizes, rules = Sizes(choice), {}
    for part in text.split(",") if text != "fixed" else ():
        name, _, rule = part.partition("=")
        if name in rules:
            raise OptionError(f"the curriculum has two rules for {name!r}: give each size one.")
        rules[name] = _rule_from(rule, name, sizes, seed)
    return Curriculum(sizes, rules)


def _rule_from(text: str, name: str, sizes: Sizes, seed: int) -> Rule:
    kind, *words = text.split(":")
    if not kind:
        raise OptionError(f"a curriculum is 'fixed' or written NAME=RULE, e.g. length=growing:1:500, got {name!r}.")
    if kind not in RULES:
        raise unknown_name("curriculum", kind, RULES)
    whole = sizes.require(name)
    layout = ":".join((kind, *RULES[kind]))
    if len(words) != len(RULES[kind]):
        raise OptionError(f"the curriculum {kind!r} is written {name}={layout}, got {text!r}.")
    if kind == "uniform":
        return Uniform(whole, f"{seed}/curriculum/{name}")
    start, step = _number(words[0], int, layout), words[1]
    if not whole[0] <= start <= whole[1]:
        raise OptionError(
            f"a curriculum of {name} starts within the task's range, {whole[0]} to {whole[1]}, got {start}."
        )
    if kind == "growing":
        return Growing(whole, start, _number(step, int, layout))
    return LossDriven(whole, start, _number(step, float, layout))


def _number(word: str, kind: Any, layout: str) -> Any:
    try:
        return kind(word)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise OptionError(f"the curriculum {layout} takes {what}, got {word!r}.") from error
