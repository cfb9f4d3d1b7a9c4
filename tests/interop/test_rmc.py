"""The relational memory core and its port, of any size, against a plain NumPy version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.interop.cases import agree, group, random_case
from tests.interop.oracles.rmc import Port, Sonnet, run

from torchmann.core.errors import DataError
from torchmann.interop import replay

WIRINGS = {"rmc": Sonnet, "rmc-l0sg": Port}
SIZES = {
    "one slot, one head": {"I": 1, "slots": 1, "heads": 1, "head_size": 3, "B": 1, "T": 2},
    "heads": {"I": 5, "slots": 4, "heads": 3, "head_size": 2, "B": 3, "T": 5},
    "more slots than width": {"I": 3, "slots": 7, "heads": 2, "head_size": 2, "B": 2, "T": 3},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"gate_style": "unit", "num_blocks": 1, "attention_mlp_layers": 2, "key_size": None},
    "gates of slots": {"gate_style": "memory", "num_blocks": 2, "attention_mlp_layers": 3, "key_size": 5},
    "no gates": {"gate_style": None, "num_blocks": 3, "attention_mlp_layers": 1, "key_size": 1},
}


def case(source: str, sizes: dict[str, int], options: dict[str, Any], *, fed: bool) -> dict[str, Any]:
    steps, batch, width = sizes["T"], sizes["B"], sizes["heads"] * sizes["head_size"]
    return random_case(
        source,
        sizes,
        options,
        inputs={"input": (steps, batch, sizes["I"])},
        output=(steps, batch, sizes["slots"] * width),
        fed={"memory": (batch, sizes["slots"], width)} if fed else None,
    )


@pytest.mark.parametrize("fed", [False, True], ids=["own start", "fed start"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("source", WIRINGS)
def test_any_size(source: str, sizes: str, options: str, fed: bool) -> None:
    arrays = case(source, SIZES[sizes], OPTIONS[options], fed=fed)
    memory = run(
        WIRINGS[source], group(arrays, "param"), arrays["meta"], arrays["input"], arrays.get("initial_state/memory")
    )
    found = replay(arrays)
    agree(found, {"state/memory": memory, "output": memory.reshape(*memory.shape[:2], -1)})


@pytest.mark.parametrize("source", WIRINGS)
def test_gradients_are_those_of_the_oracle(source: str) -> None:
    """By central differences of one number of each array."""
    arrays = case(source, SIZES["heads"], OPTIONS["gates of slots"], fed=False)
    found = replay(arrays)

    def loss() -> float:
        memory = run(WIRINGS[source], group(arrays, "param"), arrays["meta"], arrays["input"], None)
        return float((memory.reshape(*memory.shape[:2], -1) * arrays["G"]).sum())

    for key in [name for name in arrays if name.startswith(("param/", "input"))]:
        value, place = arrays[key], np.unravel_index(arrays[key].size // 2, arrays[key].shape)
        before, step = value[place], 1e-6
        value[place] = before + step
        above = loss()
        value[place] = before - step
        below = loss()
        value[place] = before
        expected = (above - below) / (2 * step)
        assert found[f"grad/{key.removeprefix('param/')}"][place] == pytest.approx(expected, rel=1e-5, abs=1e-6), key


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("gate_style", "vector", "option 'gate_style' of rmc must be one of .*'unit', 'memory'"),
        ("num_blocks", 0, "option 'num_blocks' of rmc must be a positive integer, got 0"),
        ("attention_mlp_layers", None, "must be a positive integer, got None"),
    ],
)
def test_options_that_cannot_be(option: str, value: Any, message: str) -> None:
    arrays = case("rmc", SIZES["heads"], OPTIONS["plain"], fed=False)
    arrays["meta"]["options"][option] = value
    with pytest.raises(DataError, match=message):
        replay(arrays)
