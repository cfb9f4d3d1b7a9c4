"""Annealing: numbers of a model that follow a schedule while it is trained, such as a temperature or a slope."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import nn

from torchmann.core.cell import annealed_parts
from torchmann.core.errors import OptionError, unknown_name

Schedule = Callable[[int], float]
"""From the iteration, counted from 0, to the value."""


def linear(start: float, end: float, iterations: float) -> Schedule:
    """From `start` to `end` by equal differences, over that many iterations; then `end`."""
    _require_at_least_one(iterations=iterations)
    return lambda iteration: start + (end - start) * min(iteration / iterations, 1.0)


def exponential(start: float, end: float, iterations: float) -> Schedule:
    """From `start` to `end` by equal ratios, over that many iterations; then `end`.

    ``max(0.5, exp(-r n))`` (Skim-RNN, r = 1e-4) is ``exponential:1:0.5:6931``, for ln 2 / r iterations.
    """
    _require_at_least_one(iterations=iterations)
    if not start * end > 0:
        raise OptionError(f"exponential needs a start and an end of one sign and not 0, got {start} and {end}.")
    return lambda iteration: start * (end / start) ** min(iteration / iterations, 1.0)


def steps(start: float, step: float, every: float, end: float) -> Schedule:
    """`start`, and `step` more after every so many iterations; never beyond `end`.

    ``min(5, 1 + 0.04 epoch)`` (slope of HM-LSTM) is ``steps:1:0.04:E:5``, with E iterations in an epoch.
    """
    _require_at_least_one(every=every)
    if not (end - start) * step > 0:
        raise OptionError(f"steps of {step} never get from {start} to {end}: give a step of the other sign, not 0.")
    nearest = min if step > 0 else max
    return lambda iteration: nearest(end, start + step * (iteration // every))


def inverse_steps(start: float, step: float, every: float, end: float) -> Schedule:
    """One over `steps`: a temperature whose inverse goes up stairs.

    In the released ARMIN code the inverse temperature starts at 1 and grows by 1 every 400 iterations, the first time
    before the first iteration, up to 50: ``inverse_steps:2:1:400:50``.
    """
    if not start * end > 0:
        raise OptionError(f"inverse_steps needs a start and an end of one sign and not 0, got {start} and {end}.")
    inverse = steps(start, step, every, end)
    return lambda iteration: 1.0 / inverse(iteration)


SCHEDULES: dict[str, tuple[Callable[..., Schedule], str]] = {
    "linear": (linear, "START:END:ITERATIONS"),
    "exponential": (exponential, "START:END:ITERATIONS"),
    "steps": (steps, "START:STEP:EVERY:END"),
    "inverse_steps": (inverse_steps, "START:STEP:EVERY:END"),
}
"""By name: what makes a schedule from numbers, and what the numbers are."""


def schedule_from(text: str) -> Schedule:
    """The schedule that a text such as ``"linear:1:0.1:20000"`` describes.

    Raises:
        OptionError: an unknown name, which suggests the nearest, or numbers that do not suit it.
    """
    name, *words = text.split(":")
    if name not in SCHEDULES:
        raise unknown_name("annealing schedule", name, SCHEDULES)
    make, layout = SCHEDULES[name]
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != layout.count(":") + 1 or not all(map(math.isfinite, numbers)):
        raise OptionError(f"the annealing schedule {name!r} is written {name}:{layout} with numbers, got {text!r}.")
    return make(*numbers)


def annealed_names(model: nn.Module) -> tuple[str, ...]:
    """The dotted paths of the buffers of `model` that can be annealed."""
    own = getattr(model, "annealed", None)
    return annealed_parts(model) if own is None else own


class Annealing:
    """Sets buffers of a model by schedules, as a pure function of the iteration: so there is nothing to store.

    Args:
        texts: ``"NAME=SCHEDULE"`` each, e.g. ``"temperature=linear:1:0.1:20000"``. A name is the path of a buffer that
            `annealed_names` lists, or any unambiguous ending of one.

    Raises:
        OptionError: a text that is none, or a name that comes twice.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.schedules: dict[str, Schedule] = {}
        for text in texts:
            name, equals, schedule = text.partition("=")
            if not name or not equals:
                raise OptionError(
                    f"annealing is written NAME=SCHEDULE, e.g. temperature=linear:1:0.1:20000, got {text!r}."
                )
            if name in self.schedules:
                raise OptionError(f"annealing of {name!r} is given twice: give each buffer one schedule.")
            self.schedules[name] = schedule_from(schedule)
        self._model: nn.Module | None = None
        self._paths: dict[str, str] = {}

    def apply(self, model: nn.Module, iteration: int) -> None:
        """Fill the named buffers of `model` in place with their values at `iteration`, counted from 0.

        Raises:
            OptionError: `model` has no such buffer, or several; an unknown name suggests the nearest.
        """
        if model is not self._model:
            self._paths, self._model = self._paths_in(model), model
        for name, schedule in self.schedules.items():
            # looked up each time, because moving a model to another device replaces its buffers
            model.get_buffer(self._paths[name]).fill_(schedule(iteration))

    def _paths_in(self, model: nn.Module) -> dict[str, str]:
        known = annealed_names(model)
        paths = {name: _full_path(name, known) for name in self.schedules}
        if len(set(paths.values())) < len(paths):
            raise OptionError(f"annealing of {', '.join(paths)} names one buffer twice: give each one schedule.")
        return paths


def _full_path(name: str, known: Sequence[str]) -> str:
    """The only one of the known paths that is `name`, or ends in it."""
    if name in known:
        return name
    matches = [path for path in known if path.endswith(f".{name}")]
    if len(matches) > 1:
        raise OptionError(f"annealed buffer {name!r} is ambiguous, one of: {', '.join(sorted(matches))}.")
    if not matches:
        if not known:
            raise OptionError(f"this model has nothing to anneal, so leave {name!r} out.")
        endings = {path.rpartition(".")[2] for path in known}
        raise unknown_name("annealed buffer", name, endings if "." not in name else known)
    return matches[0]


def _require_at_least_one(**iterations: float) -> None:
    for name, value in iterations.items():
        if not (value >= 1 and value.is_integer()):
            raise OptionError(f"{name} of an annealing schedule must be a whole number of at least 1, got {value:g}.")
