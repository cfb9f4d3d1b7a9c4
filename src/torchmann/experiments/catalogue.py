"""The experiments by name."""

from __future__ import annotations

from collections.abc import Callable

from torchmann.core.errors import unknown_name
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.papers import (
    armin,
    armin_characters,
    dam,
    dam_babi,
    dam_reasoning,
    dma,
    own,
    structured_ntm,
    uw,
    uw_classification,
)

EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    **dam_reasoning.EXPERIMENTS,
    **dam_babi.EXPERIMENTS,
    **dam.EXPERIMENTS,
    **dma.EXPERIMENTS,
    **uw.EXPERIMENTS,
    **uw_classification.EXPERIMENTS,
    **own.EXPERIMENTS,
    **armin.EXPERIMENTS,
    **armin_characters.EXPERIMENTS,
    **structured_ntm.EXPERIMENTS,
}


def names() -> list[str]:
    """All names, ``"paper/table1"`` and the like."""
    return list(EXPERIMENTS)


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        OptionError: there is none; the message suggests the nearest name.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]()
