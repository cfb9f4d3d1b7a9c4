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

_RELATIONAL = (
    _row("tied_mlp", False, "the port runs one layer of the MLP several times", port=True),
    _row("mlp_output", "none", "the port ends the MLP with a ReLU", port="relu"),
    _row("norm", "row", "the port normalises all rows together, with a gain for each entry", port="joint"),
    _row("tied_blocks", False, "the port runs one round of attention several times", port=True),
    _row("trained_gate_biases", False, "the port learns them", port=True),
)

_SPARSE = (
    _row("variant", "paper", "pytorch-dnc, which reads and writes a set of visible rows", released="visible"),
    _row("strength", "oneplus", "pytorch-dnc reads without a strength", released=None),
    _row("similarity", "cosine", "pytorch-dnc; its gradient at zero memory is large", released="cosine_product"),
    _row("epsilon", None, "of that similarity in pytorch-dnc", released=1e-6),
    _row("initial_value", 0.0, "pytorch-dnc starts memory, weightings and reads just above zero", released=0.005),
    _row("layers", 1, "pytorch-dnc has a controller of two layers", released=2),
    _row("init", "xavier", "pytorch-dnc", released="kaiming"),
)

_ARMIN = (
    _row("sampling", "gumbel", "the algorithmic code reads all slots, weighted", released="softmax"),
    _row("squash_state", False, "not in the paper", released=True, released_pixel=True),
    _row("squash_reads", True, "the codes show the reads as they are", released=False, released_pixel=False),
    _row("stored", "hidden", "the codes store a map", released="mapped_with_input", released_pixel="mapped"),
    _row("initial_controller", "constant", "the codes learn it", released="tanh", released_pixel="tanh"),
    _row("initial_draw", "zero", "and let it start apart", released="uniform", released_pixel="normal"),
    _row("initial_memory", "constant", "the codes learn it", released="learned", released_pixel="learned"),
    _row("output_init", "orthogonal", "the pixel code starts from Xavier weights", released_pixel="xavier"),
)
_PENALISED = (
    _row(
        "order",
        "normalise_first",
        "the codes subtract first",
        released="penalise_first",
        released_pixel="penalise_first",
    ),
    _row("penalty_gradient", False, "let through, it drowns all others", released=True, released_pixel=True),
)
_AWTA = (
    _row("normalisation", "none", "the codes normalise the logits", released="l2", released_pixel="layer_norm"),
    *_PENALISED,
    _row("squash_state", False, "not in the paper", released=True),
    _row("squash_reads", True, "the algorithmic code shows the reads as they are", released=False),
    _row("stored", "hidden", "the algorithmic code stores a map", released="mapped_with_input"),
    _row("initial_controller", "constant", "the algorithmic code learns it", released="tanh"),
    _row("initial_memory", "constant", "the algorithmic code learns it", released="learned"),
    _row("output_init", "orthogonal", "the pixel code starts from Xavier weights", released_pixel="xavier"),
)
_TARDIS = (
    _row("addressed_by", "h", "the codes address by the cell", released="c", released_pixel="c"),
    _row("normalisation", "none", "the algorithmic code normalises the logits", released="l2"),
    *_PENALISED,
    _row("stored", "mapped", "the algorithmic code stores the input, too", released="mapped_with_input"),
    _row("initial_controller", "constant", "the codes learn it", released="tanh", released_pixel="tanh"),
    _row("initial_memory", "constant", "the algorithmic code learns it", released="learned"),
    _row("output_init", "orthogonal", "the pixel code starts from Xavier weights", released_pixel="xavier"),
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
    "RMC": _RELATIONAL,
    "DARMC": _RELATIONAL,
    "SAM": _SPARSE,
    "SDNC": (*_SPARSE, _row("link_entries", 8, "pytorch-dnc keeps fewer", released=4)),
    "NTM": (
        _row("key_activation", "none", "torch-ntm", released="tanh"),
        _row("similarity", "cosine", "torch-ntm; its gradient at zero memory is large", released="cosine_product"),
        _row("initial_controller", "constant", "the paper learns its starts", paper="learned", released="tanh"),
        _row("initial_reads", "constant", "the paper learns its starts", paper="learned", released="tanh"),
        _row("output_reads", True, "torch-ntm: the output sees a read at the next step only", released=False),
    ),
    "ARMIN": _ARMIN,
    "AwTA": _AWTA,
    "TARDIS": _TARDIS,
    "NTM1": _STRUCTURED,
    "NTM2": _STRUCTURED,
    "NTM3": _STRUCTURED,
}
"""For each model the keywords in which its presets differ. Where no code was released there is no such preset.

ARMIN, AwTA and TARDIS: ``released`` is the code of ARMIN's authors for algorithmic tasks, ``released_pixel`` theirs for
images pixel by pixel, whose AwTA and TARDIS start each sequence from noise: pass a drawn state for that.
DNC: ``released`` is the code of its authors, ``uw`` that of the uniform-writing study. NTM: its authors released none;
``released`` is torch-ntm, which the structured NTMs build on. RMC and DARMC: the recommended choices are those of the
code of the RMC's authors, ``port`` is a PyTorch version of it that others use. SAM and SDNC: ``released`` is
pytorch-dnc, code by others, of which ARMIN's authors used a copy.
"""


def preset_names(model: str) -> list[str]:
    """The presets of a model."""
    named = {preset for row in DIFFERENCES[model] for preset in row.presets}
    return ["recommended", *sorted(named)]


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
