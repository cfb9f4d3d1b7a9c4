from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchmann import tasks
from torchmann.core.errors import OptionError
from torchmann.tasks.sinusoid import draw_points


def fitted(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float, float]:
    """Offset, amplitude and squared error of the best sine wave, looked for over a grid of frequencies."""
    best = (0.0, 0.0, math.inf)
    for frequency in torch.linspace(9.9, 30.1, 203).tolist():
        angle = 2 * math.pi * frequency * x
        basis = torch.stack([torch.ones_like(x), angle.sin(), angle.cos()], dim=1)
        weights = torch.linalg.lstsq(basis, y.unsqueeze(1)).solution
        error = float((basis @ weights - y.unsqueeze(1)).square().mean())
        if error < best[2]:
            best = (float(weights[0]), float(weights[1:].norm()), error)
    return best


def test_points_lie_on_waves_in_the_papers_ranges():
    x, y = draw_points(200, 12, torch.Generator().manual_seed(0))
    place = torch.arange(1, 201).unsqueeze(1)
    assert ((1000 * x - place).abs() <= 1).all()
    assert (1000 * x - place).abs().max() > 0.99
    for b in range(12):
        offset, amplitude, error = fitted(x[:, b], y[:, b])
        assert offset == pytest.approx(5, abs=0.1)
        assert 0.95 <= amplitude <= 5.05
        assert error < 0.02  # the grid's distance from the true frequency leaves a little


def test_amplitudes_are_uniform():
    _, y = draw_points(300, 2000, torch.Generator().manual_seed(1))
    amplitude = (y - 5).abs().amax(0)
    assert amplitude.min() == pytest.approx(1, abs=0.05)
    assert amplitude.max() == pytest.approx(5, abs=0.05)
    assert amplitude.mean() == pytest.approx(3, abs=0.1)


@given(
    given_points=st.integers(1, 5),
    low=st.integers(2, 5),
    more=st.integers(0, 3),
    noise=st.sampled_from([0.0, 2.0]),
    show_x=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_layout(given_points, low, more, noise, show_x, seed):
    options = {"given": given_points, "min_asked": low, "max_asked": low + more, "show_x": show_x}
    batch = tasks.make("sinusoid", **options, noise=noise).batch(0, 4, seed=seed)
    clean = tasks.make("sinusoid", **options).batch(0, 4, seed=seed)
    assert torch.equal(batch.targets, clean.targets)  # noise is on what is shown only
    assert torch.equal(batch.inputs[..., 0], clean.inputs[..., 0])
    for b in range(4):
        length = int(batch.lengths[b])
        assert low <= length - given_points <= low + more
        for t in range(len(batch.inputs)):
            x, y, flag = batch.inputs[t, b].tolist()
            assert flag == (t < given_points)
            assert (y != 0) == (t < given_points)
            assert abs(y - float(clean.inputs[t, b, 1])) <= noise
            if t < given_points or (show_x and t < length):
                assert t / 1000 - 1e-6 <= x <= (t + 2) / 1000 + 1e-6
            else:
                assert x == 0
            assert bool(batch.answer_mask[t, b]) == (given_points <= t < length)
            assert bool(batch.refresh_mask[t, b]) == (t < given_points)
            assert float(batch.refresh_target[t, b, 0]) == y


def test_noise_is_uniform():
    options = {"given": 100, "min_asked": 2, "max_asked": 2}
    noisy = tasks.make("sinusoid", **options, noise=2.0).batch(0, 40, seed=0)
    clean = tasks.make("sinusoid", **options).batch(0, 40, seed=0)
    noise = (noisy.inputs - clean.inputs)[:100, :, 1]
    assert -2 <= noise.min() < -1.99
    assert 1.99 < noise.max() <= 2
    assert noise.square().mean() == pytest.approx(4 / 3, rel=0.05)


def test_preset():
    task = tasks.make("sinusoid/uw", noise=2)
    batch = task.batch(0, 2, seed=0)
    assert batch.inputs.shape == (200, 2, 3)
    assert batch.first_answer_step == task.story_steps == 100


def test_scores_against_loops():
    task = tasks.make("sinusoid", given=2, min_asked=2, max_asked=6)
    batch = task.batch(0, 5, seed=0)
    output = batch.targets + torch.randn(batch.targets.shape, generator=torch.Generator().manual_seed(0))
    error = variation = count = 0.0
    for b in range(5):
        asked = range(2, int(batch.lengths[b]))
        wanted = [float(batch.targets[t, b, 0]) for t in asked]
        mean = sum(wanted) / len(wanted)
        error += sum((float(output[t, b, 0]) - float(batch.targets[t, b, 0])) ** 2 for t in asked)
        variation += sum((value - mean) ** 2 for value in wanted)
        count += len(wanted)
    scores = task.scores(output, batch)
    assert [float(part) for part in scores["mean_squared_error"]] == pytest.approx([error, count], rel=1e-5)
    expected = [variation - error, variation]
    assert [float(part) for part in scores["explained_variance"]] == pytest.approx(expected, rel=1e-4)
    assert float(task.loss(output, batch)) == pytest.approx(error / count, rel=1e-5)


def test_the_rows_mean_explains_nothing():
    task = tasks.make("sinusoid")
    batch = task.batch(0, 3, seed=0)
    mean = batch.targets[task.given :].mean(0).expand_as(batch.targets)
    total, weight = task.scores(mean, batch)["explained_variance"]
    assert abs(total) < 1e-4 * weight


def test_longer_asks_for_more():
    longer = tasks.make("sinusoid", given=5, noise=1.0, show_x=False).longer()
    assert list(longer) == ["asked 40", "asked 80"]
    assert all((task.given, task.noise, task.show_x) == (5, 1.0, False) for task in longer.values())
    assert longer["asked 80"].batch(0, 2, seed=0).lengths.tolist() == [85, 85]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": 0}, "given must be an integer of at least 1, got 0"),
        ({"min_asked": 1}, "2 <= min_asked <= max_asked, got min_asked=1"),
        ({"noise": -1.0}, r"noise must be at least 0, got -1\.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        tasks.make("sinusoid", **options)
