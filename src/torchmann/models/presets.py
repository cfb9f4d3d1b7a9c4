"""Presets: where papers and their released code differ, in one table.

The default of every keyword is the *recommended* choice: the paper's equation, made numerically safe. Presets such as
``"paper"`` and ``"released"`` differ from it only in the rows of `DIFFERENCES`; keywords given beside one go before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from torchmann.core.errors import unknown_name

Constructor = TypeVar("Constructor", bound=Callable[..., None])


class Difference(NamedTuple):
    """One keyword, its recommended value, and what presets set in its place; those that are not named keep it."""

    keyword: str
    recommended: Any
    presets: dict[str, Any]
    reason: str


def _row(keyword: str, recommended: Any, reason: str, **presets: Any) -> Difference:
    return Difference(keyword, recommended, presets, reason)


_STRUCTURED = (
    _row("key_activation", "none", "torch-ntm, which fills what the paper leaves open", paper="tanh"),
    _row("similarity", "cosine", "torch-ntm; its gradient at zero memory is large", paper="cosine_product"),
    _row("initial_controller", "constant", "torch-ntm", paper="tanh"),
    _row("initial_reads", "constant", "torch-ntm", paper="tanh"),
    _row("output_reads", True, "torch-ntm: the output sees a read at the next step only", paper=False),
)

DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "DNC": (
        _row("strength", "oneplus", "the code of the DNC's authors leaves out the one", released="softplus"),
        _row(
            "usage_floor", 1e-6, "keeps every factor of the allocation, and its gradient, off zero", paper=0.0, uw=0.0
        ),
        _row("usage_gradient", False, "the authors' code cuts it, the paper says nothing of it", paper=True, uw=True),
        _row("clip", 20.0, "limits the output", paper=None),
        _row("clip_controller", 20.0, "limits the controller's state", paper=None, uw=None),
        _row("clip_interface", None, "the UW code limits the interface", uw=20.0),
        _row("controller", "lstm", "the UW code carries the normalised cell and has no bias", uw="layernorm_lstm_uw"),
        _row("bias", True, "the UW code has none at interface and output", uw=False),
        _row("init", "xavier", "the UW code draws from a normal distribution", uw="normal"),
        _row("similarity", "cosine", "the UW code bounds the squared norms from below", uw="cosine_clamped"),
        _row("initial_value", 0.0, "the UW code starts memory, weightings and reads just above zero", uw=1e-6),
    ),
    "DAM": (
        _row("strength", "oneplus", "the paper says oneplus, the code takes softplus", released="softplus"),
        _row("gated_retention", False, "the code stores read weightings multiplied by the gate", released=True),
        _row("clip", 20.0, "limits the output and the controller's state", paper=None),
    ),
    "NTM": (
        _row("key_activation", "none", "torch-ntm", released="tanh"),
        _row("similarity", "cosine", "torch-ntm; its gradient at zero memory is large", released="cosine_product"),
        _row("initial_controller", "constant", "the paper learns its starts", paper="learned", released="tanh"),
        _row("initial_reads", "constant", "the paper learns its starts", paper="learned", released="tanh"),
        _row("output_reads", True, "torch-ntm: the output sees a read at the next step only", released=False),
    ),
    "NTM1": _STRUCTURED,
    "NTM2": _STRUCTURED,
    "NTM3": _STRUCTURED,
}
"""For each model the keywords in which its presets differ. Where no code was released there is no such preset.

DNC: ``released`` is the code of its authors, ``uw`` that of the uniform-writing study. NTM: its authors released none;
``released`` is torch-ntm, which the structured NTMs build on.
"""


def preset_names(model: str) -> list[str]:
    """The presets of a model."""
    named = {preset for row in DIFFERENCES[model] for preset in row.presets}
    return ["recommended", *(preset for preset in ("paper", "released", "uw") if preset in named)]


def preset_keywords(model: str, preset: str) -> dict[str, Any]:
    """What a preset of the model sets beyond the defaults.

    Raises:
        OptionError: no such preset of this model.
    """
    if preset not in preset_names(model):
        raise unknown_name(f"preset of {model}", preset, preset_names(model))
    return {row.keyword: row.presets[preset] for row in DIFFERENCES[model] if preset in row.presets}


def takes_presets(constructor: Constructor) -> Constructor:
    """Decorate ``__init__`` so that ``preset=`` fills in the keywords that are not given."""
    model = constructor.__qualname__.partition(".")[0]

    @functools.wraps(constructor)
    def filled(self: Any, *args: Any, preset: str = "recommended", **options: Any) -> None:
        constructor(self, *args, **preset_keywords(model, preset) | options)

    return cast(Constructor, filled)


def preset_table(model: str) -> str:
    """The differences of a model's presets as a Markdown table; an empty place is as recommended."""
    presets = preset_names(model)[1:]
    lines = [
        f"| keyword | recommended | {' | '.join(presets)} | why |",
        f"|---|---|{'---|' * len(presets)}---|",
    ]
    for row in DIFFERENCES[model]:
        values = [f"`{row.presets[preset]!r}`" if preset in row.presets else "" for preset in presets]
        lines.append(f"| `{row.keyword}` | `{row.recommended!r}` | {' | '.join(values)} | {row.reason} |")
    return "\n".join(lines)
