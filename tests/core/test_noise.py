"""Noise is drawn to specification, from the given generator, step by step and row by row."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch

from torchmann.core import Draw, draw_noise
from torchmann.core.noise import map_draws

like = torch.empty(0)


class Spec(NamedTuple):
    normal: Any
    nothing: Any
    nested: tuple[Any, ...]


def spec(batch: int = 2) -> Spec:
    return Spec(Draw((batch, 3), "normal"), None, (Draw((batch,), "uniform"), None))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_tree_of_the_spec_with_a_time_axis() -> None:
    noise = draw_noise(spec(), 5, generator=seeded(0), like=like)
    assert type(noise) is Spec and noise.nothing is None and noise.nested[1] is None
    assert noise.normal.shape == (5, 2, 3) and noise.nested[0].shape == (5, 2)
    assert draw_noise(None, 5, generator=None, like=like) is None


def test_draws_of_a_spec_are_mapped_one_by_one() -> None:
    doubled = map_draws(lambda draw: draw._replace(shape=(*draw.shape, 2)), spec())
    assert type(doubled) is Spec and doubled.nothing is None and doubled.nested[1] is None
    assert doubled.normal == Draw((2, 3, 2), "normal") and doubled.nested[0].shape == (2, 2)
    assert map_draws(lambda draw: draw, None) is None


def test_the_seed_decides() -> None:
    first, again, other = (draw_noise(spec(), 5, generator=seeded(seed), like=like) for seed in (1, 1, 2))
    assert torch.equal(first.normal, again.normal) and torch.equal(first.nested[0], again.nested[0])
    assert not torch.equal(first.normal, other.normal)


def test_without_a_generator_torchs_own_decides() -> None:
    torch.manual_seed(3)
    first = draw_noise(spec(), 5, generator=None, like=like)
    torch.manual_seed(3)
    assert torch.equal(draw_noise(spec(), 5, generator=None, like=like).normal, first.normal)


def test_dtype_and_device_follow_the_example() -> None:
    assert draw_noise(spec(), 2, generator=None, like=like.double()).normal.dtype == torch.float64
    assert draw_noise(spec(), 2, generator=None, like=like.to("meta")).normal.is_meta


EULER = 0.5772156649


@pytest.mark.parametrize(
    ("draw", "mean", "variance"),
    [
        (Draw((1000,), "normal"), 0.0, 1.0),
        (Draw((1000,), "uniform"), 0.5, 1 / 12),
        (Draw((1000,), "gumbel"), EULER, torch.pi**2 / 6),
        (Draw((1000,), "bernoulli", 0.2), 0.2, 0.16),
        (Draw((1000,), "bernoulli"), 0.5, 0.25),
    ],
    ids=str,
)
def test_distribution(draw: Draw, mean: float, variance: float) -> None:
    values = draw_noise(draw, 100, generator=seeded(0), like=like.double())
    assert values.isfinite().all()
    assert values.mean().item() == pytest.approx(mean, abs=0.02)
    assert values.var().item() == pytest.approx(variance, rel=0.03)
    if draw.distribution == "bernoulli":
        assert set(values.unique().tolist()) == {0.0, 1.0}
    if draw.distribution == "uniform":
        assert values.min() >= 0 and values.max() < 1
