"""A test sequence as the page shows it: what came in, what was wanted, what was given, and what happened inside.

Legend: M moments of training, T time, O output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmann.analysis.microscope.numbers import Numbers
from torchmann.analysis.microscope.panels import Panel, panel, recorded_panels
from torchmann.analysis.sample import Answers, Sample, spelt

LIKELIEST = 4
"""So many words of an answer are shown, with their probabilities."""


@dataclass(frozen=True)
class Film:
    """One sequence, and what the model made of it at one or several moments of its training.

    Attributes:
        title: which sequence it is.
        samples: the sequence through the weights of each moment, in the order of training.
        moments: what each moment is called.
    """

    title: str
    samples: Sequence[Sample]
    moments: Sequence[str]

    def content(self, numbers: Numbers, most_steps: int, most_cells: int) -> dict[str, Any]:
        """What the page needs to know: plain values, and where among `numbers` the arrays are.

        Args:
            numbers: takes the arrays.
            most_steps: a longer sequence is cut, and says so.
            most_cells: rows and columns of an image; larger ones are cut, and say so.
        """
        last = self.samples[-1]
        steps = len(last.inputs)
        samples = [_cut(sample, most_steps) for sample in self.samples]
        panels = [*_task_panels(samples), *recorded_panels([sample.internals for sample in samples], most_cells)]
        return {
            "title": self.title,
            "note": f"Only the first {most_steps} of {steps} steps are shown." if steps > most_steps else "",
            "steps": min(steps, most_steps),
            "moments": list(self.moments),
            "verdicts": [sample.answers.verdict() for sample in self.samples],
            "kinds": list(last.kinds[:most_steps]),
            "asked": samples[-1].answers.asked_T.tolist(),
            "read": spelt(samples[-1]) or None,
            "answers": _word_answers([sample.answers for sample in samples], last.classes),
            "refreshable": samples[-1].reproduced.asked_T.tolist() if samples[-1].reproduced else None,
            "reproduced": _word_answers([sample.reproduced for sample in samples if sample.reproduced], last.words),
            "panels": [_packed(each, numbers) for each in panels],
        }


def _cut(sample: Sample, steps: int) -> Sample:
    def shorter(answers: Answers) -> Answers:
        return replace(
            answers,
            wanted=answers.wanted[:steps],
            given_TO=answers.given_TO[:steps],
            asked_T=answers.asked_T[:steps],
        )

    return replace(
        sample,
        inputs=sample.inputs[:steps],
        answers=shorter(sample.answers),
        internals={name: value[:steps] for name, value in sample.internals.items()},
        reproduced=shorter(sample.reproduced) if sample.reproduced else None,
    )


def _task_panels(samples: Sequence[Sample]) -> list[Panel]:
    """Inputs, targets and outputs, as far as they are vectors."""
    last, panels = samples[-1], []
    if last.inputs.is_floating_point():
        panels.append(panel("inputs", last.inputs[None].numpy(), ("channel",)))
    answers = [sample.answers for sample in samples]
    panels += (
        [_certainty(answers)] if last.answers.alphabet == "words" else _answer_panels("targets", "outputs", answers)
    )
    again = [sample.reproduced for sample in samples if sample.reproduced and sample.reproduced.alphabet != "words"]
    return panels + (_answer_panels("", "reproduced", again) if again else [])


def _certainty(moments: Sequence[Answers]) -> Panel:
    """The probability of the right word, where there is one."""
    shares = [answers.given_TO.gather(-1, answers.wanted.unsqueeze(-1)).squeeze(-1) for answers in moments]
    asked = [torch.where(answers.asked_T, share, torch.nan) for answers, share in zip(moments, shares, strict=True)]
    wrong = torch.stack([answers.wrong() for answers in moments])
    return panel("certainty", torch.stack(asked).numpy(), (), wrong=wrong.numpy())


def _answer_panels(targets: str, outputs: str, moments: Sequence[Answers]) -> list[Panel]:
    """Two panels, or one where `targets` has no name; what is not asked for stays empty."""
    asked_TO = moments[-1].asked_T.unsqueeze(-1).expand_as(moments[-1].wanted)

    def where_asked(value: Tensor) -> np.ndarray:
        return torch.where(asked_TO, value, torch.nan).numpy()

    wrong = np.stack([answers.wrong().numpy() for answers in moments])
    given = np.stack([where_asked(answers.given_TO) for answers in moments])
    wanted = where_asked(moments[-1].wanted.float())[None]
    shown = [panel(targets, wanted, ("channel",))] if targets else []
    return [*shown, panel(outputs, given, ("channel",), wrong=wrong)]


def _word_answers(moments: Sequence[Answers], words: Sequence[str]) -> dict[str, Any] | None:
    """The word wanted at each step that asks for one, and the likeliest words of each moment; None if not of words."""
    if not moments or moments[-1].alphabet != "words":
        return None
    asked = moments[-1].asked_T.nonzero().squeeze(-1).tolist()
    given = []
    for answers in moments:
        top = answers.given_TO[answers.asked_T].topk(min(LIKELIEST, answers.given_TO.shape[-1]))
        named = [_named(row, words) for row in top.indices]
        chances = [[round(chance, 3) for chance in row] for row in top.values.tolist()]
        given.append({step: list(zip(*row, strict=True)) for step, *row in zip(asked, named, chances, strict=True)})
    wanted = _named(moments[-1].wanted, words)
    return {"wanted": {step: wanted[step] for step in asked}, "given": given}


def _named(places: Tensor, words: Sequence[str]) -> list[str]:
    return [words[place] if words else str(place) for place in places.tolist()]


def _packed(shown: Panel, numbers: Numbers) -> dict[str, Any]:
    wrong = shown.wrong_MTKLNW
    many = math.prod(shown.values_MTKLNW.shape[4:]) > 32  # values of a lane at each step
    return {
        "name": shown.name,
        "title": shown.title,
        "hint": shown.hint,
        "group": shown.group,
        "kind": shown.kind,
        "lanes": list(shown.lanes),
        "axes": list(shown.axes),
        "numbers": numbers.add(shown.values_MTKLNW, shown.limits, bits=8 if many else 16),
        "wrong": None if wrong is None else numbers.add(wrong.astype(float), (0.0, 1.0), bits=8),
    }
