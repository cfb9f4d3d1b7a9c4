"""Parts compose: every sensible combination trains, compiles whole, and the others are refused when they are built."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from tests.composition.grid import (
    CHOOSING,
    GRID,
    INPUT,
    OUTPUT,
    WORKING,
    Combination,
    build,
    choices,
    covering,
    refusal,
)
from torch import Tensor

import torchmann as tm
from torchmann.core import OptionError, draw_noise, map_leaves, named_leaves
from torchmann.tasks import Batch, Score, Task
from torchmann.training import Refreshing

STEPS, BATCH = 8, 3
SAMPLE, EACH = covering(WORKING), covering(WORKING, axes=1)
REFUSED = [combination for combination in GRID if refusal(combination) is not None]


class Numbers(Task):
    """Random numbers to answer and to reproduce: real inputs have no alphabet to share, so the output is widened."""

    input_kind = "vector"
    target_kind = "values"
    input_size, output_size, refresh_size, metric = INPUT, OUTPUT, INPUT, "none"

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        x, target = torch.randn(STEPS, batch_size, INPUT), torch.randn(STEPS, batch_size, OUTPUT)
        mask = torch.ones(STEPS, batch_size, dtype=torch.bool)
        return Batch(x, target, torch.full((batch_size,), STEPS), mask, mask, x, "l2", 0)

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return (output_TBO - batch.targets).square().mean(-1)

    def divisor(self, batch: Batch) -> Tensor:
        return batch.answer_mask.sum()

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        return {}


def without_a_choice(combination: Combination, model: tm.Recurrent) -> dict[str, int]:
    """For each map to the memory, how many numbers at its end decide nothing: the gate of one block, always one."""
    if combination.order == "read_first":  # which leaves that gate out
        return {"cell.address.": 0, "cell.entry.": 0}
    return {"cell.interface.": model.cell.memory.reads if combination.blocks == 1 else 0}


def check_gradients(combination: Combination, model: tm.Recurrent) -> None:
    """Finite everywhere; not zero in any parameter, nor in any number that the memory is given."""
    dead = without_a_choice(combination, model)
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and gradient.isfinite().all(), name
        rows = next((rows for part, rows in dead.items() if name.startswith(part)), None)
        if rows is None:
            assert gradient.any(), f"no gradient in {name}"
            continue
        live = gradient[: len(gradient) - rows]
        assert live.flatten(1).any(1).all() if live.dim() > 1 else live.all(), f"{name} has a row without gradient"
        assert not gradient[len(gradient) - rows :].any()


def check_slots_differ(model: tm.Recurrent, x: Tensor) -> None:
    """Slots that start alike and are treated alike would stay alike: a memory of one slot, however many it has."""
    _, state = model(x)
    contents = [leaf for name, leaf in named_leaves(state.memory) if name.split(".")[-1] == "memory"]
    assert len(contents) == 1 and (contents[0].std(-2).amax(-1) > 1e-4).all()


def check_trains(combination: Combination) -> None:
    """Three steps of Adam on a random batch, small ones: each must go downhill, where the loss is continuous."""
    model = build(combination)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    task = Numbers()
    batch = task.batch(0, BATCH, seed=0)
    check_slots_differ(model, batch.inputs)
    losses = []
    for _ in range(3):
        before = [parameter.detach().clone() for parameter in model.parameters()]
        noise, sample = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
        output, _ = model(batch.inputs, generator=noise)
        loss = Refreshing(combination.refreshing).loss(task, output, batch, sample)
        optimiser.zero_grad()
        loss.backward()
        check_gradients(combination, model)
        optimiser.step()
        for old, new in zip(before, model.parameters(), strict=True):
            assert torch.equal(old, new) != new.grad.any()
        losses.append(loss.item())
    downhill = all(later < earlier for earlier, later in pairwise(losses))
    assert downhill or combination.memory in CHOOSING, losses


def results(model: tm.Recurrent, step: Any, x: Tensor, state: Any, noise: Any) -> tuple[Any, tuple[Tensor, ...]]:
    """What a step gives, and the gradients into all that it starts from."""
    leaves = [leaf for _, leaf in named_leaves(state) if leaf.is_floating_point()]
    output, after = step(x, state, noise)
    floats = [leaf for _, leaf in named_leaves(after) if leaf.is_floating_point()]
    total = output.square().sum() + sum(leaf.square().sum() for leaf in floats)
    return (output, after), torch.autograd.grad(total, [x, *leaves, *model.parameters()], materialize_grads=True)


def check_compiles(combination: Combination) -> None:
    """Each kind of step is one graph, forward and backward, and computes what it did."""
    model = build(combination)
    x = torch.randn(STEPS, BATCH, INPUT)
    noise = draw_noise(model.cell.noise_spec(BATCH), 1, generator=None, like=x)
    noise = map_leaves(lambda leaf: leaf[0], noise)
    _, state = model(x[:-1])  # as met on the way: in a cached step the cache is full
    state = map_leaves(lambda leaf: leaf.detach().requires_grad_(leaf.is_floating_point()), state)
    last = x[-1].clone().requires_grad_()
    for kind in dict.fromkeys(model.cell.schedule(STEPS)):
        step = model.cell.step_of_kind(kind)
        torch.compiler.reset()
        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        actual = dict(named_leaves(results(model, compiled, last, state, noise)))
        expected = dict(named_leaves(results(model, step, last, state, noise)))
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("combination", SAMPLE, ids=str)
def test_combination_trains(combination: Combination) -> None:
    check_trains(combination)


@pytest.mark.parametrize("combination", EACH, ids=str)
def test_every_choice_compiles(combination: Combination) -> None:
    check_compiles(combination)


@pytest.mark.slow
@pytest.mark.parametrize("combination", SAMPLE, ids=str)
def test_combination_compiles(combination: Combination) -> None:
    check_compiles(combination)


@pytest.mark.slow
@pytest.mark.parametrize("combination", WORKING, ids=str)
def test_every_combination_trains(combination: Combination) -> None:
    check_trains(combination)


@pytest.mark.parametrize(("sample", "axes", "most"), [(SAMPLE, 2, 100), (EACH, 1, 20)], ids=["pairs", "each"])
def test_samples_hold_every_pair_and_every_single_choice(sample: list[Combination], axes: int, most: int) -> None:
    assert len(sample) == len(set(sample)) and set(sample) <= set(WORKING)
    wanted = set().union(*(choices(combination, axes) for combination in WORKING))
    assert set().union(*(choices(combination, axes) for combination in sample)) == wanted
    assert len(sample) < most < len(WORKING)


@pytest.mark.parametrize("combination", covering(REFUSED), ids=str)
def test_what_cannot_work_is_refused_when_it_is_built(combination: Combination) -> None:
    with pytest.raises(OptionError, match=refusal(combination)):
        build(combination)
