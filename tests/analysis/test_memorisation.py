"""The measure of memorisation against finite differences and closed forms, its bound against every schedule."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.analysis.memorisation import (
    brute_force_bounds,
    contributions,
    fitted_decay,
    memorisation_bound,
    memorised,
    optimal_write_steps,
    writing_steps,
)
from torchmann.analysis.memorisation_figure import memorisation_figure
from torchmann.analysis.style import save
from torchmann.cells import LSTMCell
from torchmann.core import Cell, OptionError, ShapeError, state
from torchmann.memories import CachedUniform, DenseFrom, EveryStep, RandomSteps, Uniform, optimal_interval
from torchmann.models import build

T, B, INPUT, H = 6, 2, 3, 4
DOUBLE = torch.float64
DECAYS = (0.3, 0.8, 0.99, 1.0, 1.2, 2.0)


@state
class LinearState(NamedTuple):
    """The sum so far."""

    h: Tensor  # [B, I]


class LinearCell(Cell):
    """``h_t = a h_{t-1} + x_t``, and the output is h."""

    def __init__(self, size: int, decay: float) -> None:
        super().__init__()
        self.input_size = self.output_size = size
        self.decay = decay

    def initial_state(self, batch_size: int) -> LinearState:
        return LinearState(torch.zeros(batch_size, self.input_size, dtype=DOUBLE))

    def forward(self, x: Tensor, state: LinearState, noise: None = None) -> tuple[Tensor, LinearState]:
        h = self.decay * state.h + x
        return h, LinearState(h)


def linear(decay: float, size: int = INPUT) -> tm.Recurrent:
    return tm.Recurrent(LinearCell(size, decay))


def dnc(**options: Any) -> tm.DNC:
    return tm.DNC(INPUT, H, slots=4, width=3, dtype=DOUBLE, **options)


def inputs(*shape: int) -> Tensor:
    return torch.randn(*(shape or (T, B)), INPUT, dtype=DOUBLE)


def controller_vectors(model: tm.Recurrent, x_TBI: Tensor) -> Tensor:
    """The controller's h after each step, ``[T, B, H]``, as a recorder sees it."""
    with torch.no_grad(), tm.Recorder(model) as recorder:
        model(x_TBI)
    return recorder["state.controller.h"]


def by_finite_differences(
    hidden: Callable[[Tensor], Tensor], x_TBI: Tensor, order: Any = 2, step: float = 1e-6
) -> Tensor:
    """The norms of d h_t / d x_i, ``[T, T, B]``, from central differences."""
    length, batch_size, features = x_TBI.shape
    jacobian = torch.empty(length, length, batch_size, hidden(x_TBI).shape[-1], features, dtype=DOUBLE)
    for i in range(length):
        for feature in range(features):
            change = torch.zeros_like(x_TBI)
            change[i, :, feature] = step
            slope_TBH = (hidden(x_TBI + change) - hidden(x_TBI - change)) / (2 * step)
            jacobian[:, i, :, :, feature] = slope_TBH
    return torch.linalg.matrix_norm(jacobian, order)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dnc(),
        lambda: dnc(allocation="softmax", reads=2),
        lambda: dnc(writing=Uniform(3)),
        lambda: dnc(writing=CachedUniform(2)).double(),
        lambda: dnc(writing=RandomSteps(0.5, seed=1)),
        lambda: dnc(writing=Uniform(3, hold="read")),
        lambda: dnc(writing=DenseFrom(Uniform(2), 3)),
        lambda: tm.NTM(INPUT, H, slots=4, width=3, dtype=DOUBLE),
        lambda: tm.NTM2(INPUT, H, slots=4, width=3, dtype=DOUBLE, writing=Uniform(2)),
        lambda: tm.DAM(INPUT, H, slots=4, width=3, dtype=DOUBLE),
    ],
    ids=["sorted", "softmax", "uniform", "cached", "random", "held reads", "dense from", "ntm", "ntm2", "dam"],
)
def test_contributions_are_what_finite_differences_say(make: Callable[[], tm.Recurrent]) -> None:
    torch.manual_seed(0)
    model, x = make(), inputs()
    expected = by_finite_differences(lambda x: controller_vectors(model, x), x)
    torch.testing.assert_close(contributions(model, x), expected, rtol=1e-5, atol=1e-8)


def test_frobenius_norm() -> None:
    torch.manual_seed(0)
    model, x = dnc(), inputs()
    expected = by_finite_differences(lambda x: controller_vectors(model, x), x, "fro")
    torch.testing.assert_close(contributions(model, x, norm="frobenius"), expected, rtol=1e-5, atol=1e-8)


def test_no_hidden_vector_depends_on_what_comes_later() -> None:
    c = contributions(dnc(), inputs())
    for t in range(T):
        assert torch.count_nonzero(c[t, t + 1 :]) == 0
        assert (c[t, : t + 1] > 0).all()


@pytest.mark.parametrize("decay", [0.5, 1.0, -0.7, 1.5])
def test_linear_network_keeps_powers_of_its_decay(decay: float) -> None:
    steps = torch.arange(T)
    ages_TT = steps.unsqueeze(1) - steps
    expected = torch.where(ages_TT < 0, 0, abs(decay) ** ages_TT.clamp(min=0).double())
    c = contributions(linear(decay), inputs())
    torch.testing.assert_close(c, expected.unsqueeze(-1).expand(T, T, B))
    torch.testing.assert_close(fitted_decay(c), torch.full((B,), abs(decay), dtype=DOUBLE))
    # the bound of a network without memory is the measure itself, for its C is c_{T,T} = 1
    torch.testing.assert_close(memorised(c), torch.full((B,), memorisation_bound((), T, abs(decay)), dtype=DOUBLE))


def test_memorised_and_decay_of_numbers_worked_out_by_hand() -> None:
    c = torch.tensor([[[1.0]], [[2.0]], [[4.0]]], dtype=DOUBLE).transpose(0, 1)  # c_{i,3} = 1, 2, 4
    torch.testing.assert_close(memorised(c), torch.tensor([7 / 3], dtype=DOUBLE))
    torch.testing.assert_close(fitted_decay(c), torch.tensor([0.5], dtype=DOUBLE))
    unlike = torch.tensor([[2.0, 1.0, 4.0]], dtype=DOUBLE)  # 1 + l + l^2 = 7 / 4 as well
    torch.testing.assert_close(fitted_decay(unlike), torch.tensor(0.5, dtype=DOUBLE))
    with pytest.raises(OptionError, match="at least two steps"):
        fitted_decay(torch.ones(1, 1, B))


def test_chosen_steps_layouts_and_schedules_are_parts_of_the_same() -> None:
    model, x = dnc(), inputs()
    whole = contributions(model, x)
    torch.testing.assert_close(contributions(model, x, steps=[-1, 2]), whole[[T - 1, 2]])
    torch.testing.assert_close(contributions(model, x[:, 0]), whole[..., 0])
    first = tm.Recurrent(model.cell, batch_first=True)
    torch.testing.assert_close(contributions(first, x.transpose(0, 1)), whole)
    held = dnc(writing=Uniform(3))
    held.load_state_dict(model.state_dict())
    torch.testing.assert_close(contributions(model, x, schedule=Uniform(3)), contributions(held, x))


def test_what_is_measured_of_other_models() -> None:
    torch.manual_seed(0)
    x = inputs()
    for model in (tm.LSTM(INPUT, H, dtype=DOUBLE), tm.RNN(INPUT, H, dtype=DOUBLE)):
        expected = by_finite_differences(lambda x, model=model: model(x)[0].detach(), x)
        torch.testing.assert_close(contributions(model, x), expected, rtol=1e-5, atol=1e-8)
    memory_on_top = tm.Recurrent(tm.Stacked([LSTMCell(INPUT, INPUT, dtype=DOUBLE), dnc().cell]))
    c = contributions(memory_on_top, x)

    def top(x_TBI: Tensor) -> Tensor:
        with torch.no_grad(), tm.Recorder(memory_on_top) as recorder:
            memory_on_top(x_TBI)
        return recorder["cell.state.layers.1.controller.h"]

    torch.testing.assert_close(c, by_finite_differences(top, x), rtol=1e-5, atol=1e-8)


def test_sequence_model_is_measured_from_what_its_body_is_given() -> None:
    options = {"embedding_size": 5, "hidden_size": 6, "slots": 4, "width": 3}
    model = build("dnc", input_kind="tokens", input_size=7, output_size=7, **options)
    tokens = torch.randint(7, (T, B))
    expected = contributions(model.body, model.encoder(tokens))
    torch.testing.assert_close(contributions(model, tokens), expected)


def test_measuring_leaves_the_model_alone() -> None:
    model, x = dnc().train(), inputs()
    with torch.no_grad():
        c = contributions(model, x, steps=[-1])
    assert model.training and not x.requires_grad and not c.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_before_its_first_write_a_uniform_network_keeps_what_its_controller_keeps() -> None:
    torch.manual_seed(0)
    model, x = dnc(writing=Uniform(4)), inputs()
    controller = tm.Recurrent(model.cell.controller)
    with_reads = torch.cat([x, torch.zeros(T, B, 3, dtype=DOUBLE)], dim=-1)

    def alone(x_TBI: Tensor) -> Tensor:
        return controller(torch.cat([x_TBI, with_reads[..., INPUT:]], dim=-1))[0].detach()

    c, expected = contributions(model, x), by_finite_differences(alone, x)
    torch.testing.assert_close(c[:4], expected[:4], rtol=1e-5, atol=1e-8)
    assert not torch.allclose(c[4:], expected[4:], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"norm": "euclidean"}, "unknown norm 'euclidean'"),
        ({"steps": [T]}, "steps must lie in -6..5"),
        ({"schedule": ["dense"]}, "one step kind for each"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        contributions(dnc(), inputs(), **options)


def test_inputs_of_a_wrong_width() -> None:
    with pytest.raises(ShapeError, match="features"):
        contributions(dnc(), torch.zeros(T, B, INPUT + 1, dtype=DOUBLE))


def test_bound_worked_out_by_hand() -> None:
    # intervals 2, 3, 5 of 10 steps: f_{1/2} = 3/2, 7/4, 31/16
    assert memorisation_bound((2, 5), 10, 0.5) == pytest.approx((3 / 2 + 7 / 4 + 31 / 16) / 10)
    assert memorisation_bound((2, 5), 10, 0.5, scale=3.0) == pytest.approx(3 * (3 / 2 + 7 / 4 + 31 / 16) / 10)
    assert memorisation_bound((2, 5), 10, 2.0) == pytest.approx((3 + 7 + 31) / 10)
    assert memorisation_bound((2, 5), 10, 1.0) == 1
    assert memorisation_bound((2, 5), 10, 1 + 1e-12) == pytest.approx(1)
    assert memorisation_bound((5, 10), 10, 0.5) == memorisation_bound((5,), 10, 0.5)
    for steps in [(0,), (3, 3), (5, 2), (11,)]:
        with pytest.raises(OptionError, match="write_steps must rise"):
            memorisation_bound(steps, 10, 0.5)
    with pytest.raises(OptionError, match="decay must be positive"):
        memorisation_bound((2,), 10, 0.0)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize(("length", "slots"), [(12, 2), (12, 3), (10, 4), (6, 1), (11, 3), (13, 4)])
def test_equal_intervals_are_the_best_of_all_schedules(length: int, slots: int, decay: float) -> None:
    """The best with forgetting, the least with growth; and the only such ones if D + 1 divides T."""
    bounds = brute_force_bounds(length, slots, decay)
    assert len(bounds) == len(list(combinations(range(length - 1), slots)))
    equal = optimal_write_steps(length, slots)
    extreme = (max if decay <= 1 else min)(bounds.values())
    assert bounds[equal] == extreme
    reached = [steps for steps, bound in bounds.items() if bound == pytest.approx(extreme, rel=1e-12)]
    if decay == 1:  # every schedule keeps as much
        assert len(reached) == len(bounds)
    elif length % (slots + 1) == 0:
        assert reached == [equal]


def test_optimal_write_steps() -> None:
    assert optimal_write_steps(12, 3) == (3, 6, 9)
    assert optimal_write_steps(11, 3) == (2, 5, 8)
    assert optimal_write_steps(3, 2) == (1, 2)
    policy = Uniform(optimal_interval(50, 4))
    assert writing_steps(policy, 50) == (*optimal_write_steps(50, 4), 50)
    with pytest.raises(OptionError, match="fewer than the 3 steps"):
        optimal_write_steps(3, 3)


def test_writing_steps_of_policies() -> None:
    assert writing_steps(EveryStep(), 3) == (1, 2, 3)
    assert writing_steps(CachedUniform(2), 5) == (2, 4)
    assert writing_steps(Uniform(3, hold="write"), 7) == (3, 6)
    assert writing_steps(Uniform(3, hold="read"), 7) == (1, 2, 3, 4, 5, 6, 7)


def test_picture(tmp_path: Path) -> None:
    x = inputs()
    policies = {"dense": EveryStep(), "uniform": Uniform(3)}
    model = dnc()
    maps = {name: contributions(model, x, schedule=policy).mean(-1) for name, policy in policies.items()}
    figure = memorisation_figure(maps, "What is kept", write_steps={"uniform": writing_steps(policies["uniform"], T)})
    axes = {axis.get_title(loc="left"): axis for axis in figure.axes}
    for name, c_TT in maps.items():  # inputs downwards, steps to the right, nothing where the future is
        drawn = axes[name].images[0].get_array()
        expected = torch.triu(c_TT.T).clamp(min=float(c_TT.max()) * 1e-3)
        torch.testing.assert_close(torch.from_numpy(drawn.filled(0)).triu(), expected.triu())
        assert drawn.mask.sum() == T * (T - 1) / 2
    assert len(axes["uniform"].texts) == 2 and not axes["dense"].texts
    curves = axes["c at the last step; its mean is I"].lines
    for curve, c_TT in zip(curves, maps.values(), strict=True):
        torch.testing.assert_close(torch.as_tensor(curve.get_ydata()), c_TT[-1])
    assert save(figure, tmp_path / "picture.png").stat().st_size > 10_000
    with pytest.raises(OptionError, match="1 to 4 networks"):
        memorisation_figure({}, "Nothing")
