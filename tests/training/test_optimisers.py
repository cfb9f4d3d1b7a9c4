from __future__ import annotations

import copy

import pytest
import torch

from torchmann.core import OptionError
from torchmann.training import GravesRMSProp, optimiser_named


def test_graves_rmsprop_is_the_published_recursion() -> None:
    """Against the equations in Python floats, element by element, with epsilon inside the root."""
    lr, decay, momentum, eps = 0.01, 0.95, 0.9, 1e-4
    gradients = [[0.5, -2.0, 0.0], [0.1, -2.0, 1e-3], [-3.0, -2.0, 0.0]]
    want = [1.0, 2.0, 3.0]
    n, m, delta = [0.0] * 3, [0.0] * 3, [0.0] * 3
    parameter = torch.nn.Parameter(torch.tensor(want, dtype=torch.float64))
    optimiser = GravesRMSProp([parameter], lr=lr)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
        for i, g in enumerate(gradient):
            n[i] = decay * n[i] + (1 - decay) * g * g
            m[i] = decay * m[i] + (1 - decay) * g
            delta[i] = momentum * delta[i] - lr * g / (n[i] - m[i] * m[i] + eps) ** 0.5
            want[i] += delta[i]
    torch.testing.assert_close(parameter.detach(), torch.tensor(want, dtype=torch.float64), rtol=1e-12, atol=0)
    assert want[0] != 1.0


def test_graves_rmsprop_survives_rounding_of_a_variance_of_zero() -> None:
    """Large gradients that hardly vary: n - m² is nearly zero, and float32 finds it below -eps."""
    parameter = torch.nn.Parameter(torch.zeros(1000))
    optimiser = GravesRMSProp([parameter])
    constant = torch.linspace(-1000, 1000, 1000)
    for _ in range(300):
        parameter.grad = constant * (1 + 1e-5 * torch.randn(1000))
        optimiser.step()
    assert parameter.isfinite().all()


@pytest.mark.parametrize("name", ["adam", "rmsprop", "graves"])
def test_a_restored_optimiser_goes_on_as_the_original(name: str) -> None:
    def train(parameter: torch.nn.Parameter, optimiser: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            parameter.grad = torch.sin(parameter.detach() + step)
            optimiser.step()

    one = torch.nn.Parameter(torch.randn(5))
    first = optimiser_named(name)([one])
    train(one, first, range(3))
    two = torch.nn.Parameter(one.detach().clone())
    second = optimiser_named(name)([two])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(one, first, range(3, 6))
    train(two, second, range(3, 6))
    assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "graves"])
def test_optimisers_refuse_values_out_of_range(name: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(OptionError, match="lr must be above 0, got -1"):
        optimiser_named(name)([parameter], lr=-1.0)


def test_graves_rmsprop_passes_over_parameters_without_a_gradient() -> None:
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    used.grad = torch.ones(2)
    GravesRMSProp([used, unused], lr=0.1).step()
    assert torch.equal(unused, torch.ones(2)) and (used < 1).all()


def test_an_unknown_optimiser_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(OptionError, match="unknown optimiser 'rmsprob': did you mean 'rmsprop'"):
        optimiser_named("rmsprob")
