"""Our model against google-deepmind/dnc written anew: any number of heads, limits, fed starts."""

from __future__ import annotations

import pytest
from tests.interop.cases import Case, agree_with, random_case, there_and_back
from tests.interop.oracles import deepmind_dnc as oracle

SIZES = {
    "one of each": {"I": 1, "O": 1, "H": 1, "N": 1, "W": 1, "R": 1, "num_writes": 1, "T": 3, "B": 1},
    "two write heads": {"I": 3, "O": 2, "H": 5, "N": 4, "W": 3, "R": 1, "num_writes": 2, "T": 5, "B": 2},
    "three of both": {"I": 2, "O": 4, "H": 4, "N": 6, "W": 2, "R": 3, "num_writes": 3, "T": 4, "B": 3},
    "more reads than writes": {"I": 4, "O": 3, "H": 6, "N": 3, "W": 5, "R": 2, "num_writes": 1, "T": 1, "B": 2},
}


def made(size: dict[str, int], clip: float, *, fed: bool) -> Case:
    start = {name: (size["B"], *shape) for name, shape in oracle.state_shapes(size).items()}
    return random_case(
        "deepmind-dnc",
        size,
        inputs={"input": (size["T"], size["B"], size["I"])},
        output=(size["T"], size["B"], size["O"]),
        fed=start if fed else None,
        constants={"clip_value": clip, "epsilon": 1e-6, "forget_bias": 1.0},
    )


@pytest.mark.parametrize("clip", [0.0, 0.3, 20.0])
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_a_fed_start(sizes: str, clip: float) -> None:
    agree_with(oracle.run, made(SIZES[sizes], clip, fed=True))


@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_zeros(sizes: str) -> None:
    agree_with(oracle.run, made(SIZES[sizes], clip=0.0, fed=False), tied=True)


def test_there_and_back() -> None:
    there_and_back(made(SIZES["three of both"], clip=0.0, fed=False))
