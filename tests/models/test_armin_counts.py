"""ARMIN, AwTA and TARDIS have the published numbers of parameters, to the unit where the publication gives it.

Source: "ARMIN: Towards a more efficient and light-weight recurrent memory network", tables 1-4, and its authors' code.
"""

from __future__ import annotations

from typing import Any

import pytest

import torchmann as tm
from torchmann.models import build

BITS: dict[str, Any] = {"input_size": 10, "output_size": 8, "slots": 50, "width": 32, "preset": "released"}  # copy
PIXELS: dict[str, Any] = {"input_size": 1, "output_size": 10, "slots": 28, "width": 28, "preset": "released_pixel"}
FIXED = {"initial_memory": "constant"}


def count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("hidden_size", "slots", "published"),
    [(800, 20, 9_800_230), (500, 20, 4_028_530), (500, 5, 4_019_095), (550, 10, 4_808_690)],
)
def test_language_model(hidden_size: int, slots: int, published: int) -> None:
    """50 symbols, embedded in 128 dimensions; slots as wide as the state, which is stored as it is."""
    sizes = {"hidden_size": hidden_size, "slots": slots, "layer_norm": True, "zoneout_keep": 0.5}
    model = build("armin", input_kind="tokens", input_size=50, output_size=50, embedding_size=128, **sizes)
    d, n = hidden_size, slots
    gates, norms, addresses = 7 * d * (128 + 2 * d) + 7 * d, 16 * d, n * (128 + d + 1)
    assert count(model) == gates + norms + addresses + 50 * (2 * d + 1) + 50 * 128 == published


@pytest.mark.parametrize(
    ("make", "options", "published"),
    [
        (tm.ARMIN, BITS | {"hidden_size": 100}, 92_518),
        (tm.ARMIN, BITS | {"hidden_size": 100} | FIXED, 90_918),
        (tm.AwTA, BITS | {"hidden_size": 100} | FIXED, 90_593),
        (tm.TARDIS, BITS | {"hidden_size": 120}, 92_642),
        (tm.TARDIS, BITS | {"hidden_size": 120} | FIXED, 91_042),
        (tm.TARDIS, BITS | {"hidden_size": 100}, 69_127),
        (tm.ARMIN, PIXELS | {"hidden_size": 100}, 80_138),
        (tm.AwTA, PIXELS | {"hidden_size": 100, "key_size": 25, "normalisation": "none"}, 81_698),
        (tm.AwTA, PIXELS | {"hidden_size": 100, "key_size": 25}, 81_754),
        (tm.AwTA, PIXELS | {"hidden_size": 100, "key_size": 25, "width": None, "normalisation": "none"}, 150_510),
        (tm.AwTA, PIXELS | {"hidden_size": 100, "key_size": 25, "width": None, "layer_norm": True}, 152_166),
        (tm.TARDIS, PIXELS | {"hidden_size": 100, "key_size": 25}, 61_878),
    ],
)
def test_released_code(make: Any, options: dict[str, Any], published: int) -> None:
    """Table 1 says 90k, 91k and 90k for ARMIN, AwTA and TARDIS (120 units), table 2 says 81k for ARMIN and AwTA."""
    assert count(make(**options, device="meta")) == published


def test_the_presets_differ_in_what_is_learned_of_the_start() -> None:
    sizes: dict[str, Any] = {"input_size": 3, "hidden_size": 8, "slots": 4, "width": 5}
    released, recommended = (tm.ARMIN(**sizes, preset=preset) for preset in ("released", "recommended"))
    assert count(released) - count(recommended) == 8 + 4 * 5 + 3 * 5, "start of state and memory, input in the entry"
