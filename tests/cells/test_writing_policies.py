"""What a memory-augmented cell does at the steps of each policy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.models.helpers import twins
from torch import Tensor

import torchmann as tm
from torchmann.cells import CacheAttention, LSTMCell
from torchmann.cells.cached_writing import CacheState
from torchmann.core import OptionError
from torchmann.memories import CachedUniform, EveryStep, Uniform

T, B, INPUT, H = 7, 3, 4, 5
MAKE: dict[str, Any] = {
    "dnc": lambda **options: tm.DNC(INPUT, H, slots=6, width=3, **options),
    "ntm": lambda **options: tm.NTM(INPUT, H, slots=6, width=3, **options),
}
both = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def inputs() -> Tensor:
    return torch.randn(T, B, INPUT)


@both
def test_uniform_with_interval_one_is_dense(make: Any) -> None:
    dense, uniform = twins(make(), make(writing=Uniform(1)))
    x = inputs()
    torch.testing.assert_close(uniform(x)[0], dense(x)[0])


@both
def test_without_a_write_step_it_is_a_controller_whose_reads_stay(make: Any) -> None:
    model, x = make(writing=Uniform(T + 1)), inputs()
    cell = model.cell
    reads = cell.memory.initial_reads(B)
    lstm = tm.Recurrent(LSTMCell(INPUT + 3, H, clip=cell.controller.clip))
    lstm.cell.load_state_dict(cell.controller.state_dict())
    hidden, _ = lstm(torch.cat([x, reads.expand(T, B, 3)], dim=-1))
    expected = torch.stack([cell.readout(h, reads) for h in hidden])
    output, state = model(x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(state.memory.flatten(), cell.memory.initial_state(B).flatten())


@both
@pytest.mark.parametrize(("hold", "moving"), [("both", set()), ("write", {"reads"}), ("read", {"memory"})])
def test_what_moves_at_a_held_step(make: Any, hold: Any, moving: set[str]) -> None:
    model = make(writing=Uniform(3, hold=hold))
    _, state = model(inputs(), schedule=EveryStep())  # something to read
    with tm.Recorder(model) as recorder:
        model(inputs(), state)
    for name, values in (("memory", recorder["state.memory.memory"]), ("reads", recorder["state.reads"])):
        for t in range(1, T):
            held = (t + 1) % 3 != 0
            changed = not torch.equal(values[t], values[t - 1])
            assert changed == (not held or name in moving), (name, t)


@both
def test_cached_writing_with_interval_one_is_dense(make: Any) -> None:
    """The cache then holds the last hidden vector only, and the attention has no choice."""
    dense, cached = make(), make(writing=CachedUniform(1))
    cached.load_state_dict(dense.state_dict(), strict=False)
    x = inputs()
    torch.testing.assert_close(cached(x)[0], dense(x)[0])


def cached_by_hand(model: tm.DNC, x_TBI: Tensor, interval: int) -> Tensor:
    """The algorithm of the paper with a Python list as the cache."""
    cell, outputs, cache = model.cell, [], []
    attention, state = cell.attention, model.initial_state(x_TBI.shape[1])
    for t, x in enumerate(x_TBI, start=1):
        h, reads = state.controller.h, state.reads
        cache.append(h)
        if t % interval == 0:
            query = attention.from_hidden(h) + attention.from_reads(reads)
            scores = torch.stack([attention.score((query + attention.from_cache(d)).tanh()) for d in cache])
            mixed = (scores.softmax(0) * torch.stack(cache)).sum(0)
            y, state = cell(x, state._replace(controller=state.controller._replace(h=mixed)))
            cache = []
        else:
            y, state = cell.hold(x, state)
        outputs.append(y)
    return torch.stack(outputs)


@both
@pytest.mark.parametrize("interval", [2, 3, 10])
def test_cached_writing_by_hand(make: Any, interval: int) -> None:
    model, x = make(writing=CachedUniform(interval, attention_size=2)), inputs()
    torch.testing.assert_close(model(x)[0], cached_by_hand(model, x, interval))


def test_cached_writing_trains_its_attention_and_keeps_rows_apart() -> None:
    model, x = MAKE["dnc"](writing=CachedUniform(3, attention_size=2)), inputs()
    model(x)[0].square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.cell.attention.parameters())
    order = [2, 0, 1]
    torch.testing.assert_close(model(x[:, order])[0], model(x)[0][:, order])


def test_a_row_that_starts_anew_has_an_empty_cache() -> None:
    model, x = MAKE["dnc"](writing=CachedUniform(4, attention_size=2)), inputs()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 1] = True
    output, _ = model(x, reset=reset)
    anew, _ = model(x[2:, 1:2], start=2)
    torch.testing.assert_close(output[2:, 1:2], anew)


def test_attention_looks_at_entries_that_count_only() -> None:
    attention = CacheAttention(4, H, 2, 3)
    hidden = torch.randn(B, 4, H)
    cache = CacheState(hidden, torch.tensor([1, 2, 4]))
    for row, valid in enumerate([1, 2, 4]):
        polluted = hidden.clone()
        polluted[row, : 4 - valid] = 1e6
        query, reads = torch.randn(B, H), torch.randn(B, 2)
        expected = attention(cache, query, reads)[row]
        torch.testing.assert_close(attention(cache._replace(hidden=polluted), query, reads)[row], expected)
    torch.testing.assert_close(attention(cache, hidden[:, 0], torch.zeros(B, 2))[0], hidden[0, -1])


def test_cache_keeps_the_newest() -> None:
    attention = CacheAttention(2, 1, 1, 1)
    cache = attention.initial_state(1)
    for number in range(1, 4):
        cache = attention.append(cache, torch.full((1, 1), float(number)))
        assert cache.valid.tolist() == [min(number, 2)]
    assert cache.hidden.flatten().tolist() == [2, 3]
    assert attention.clear(cache).valid.tolist() == [0]


def test_a_policy_for_one_call_needs_the_parts_it_uses() -> None:
    plain, cached = MAKE["dnc"](), MAKE["dnc"](writing=CachedUniform(3))
    x = inputs()
    with pytest.raises(OptionError, match=r"build the cell with writing=CachedUniform\(interval\)"):
        plain(x, schedule=CachedUniform(3))
    cached.cell.load_state_dict(plain.cell.state_dict(), strict=False)
    torch.testing.assert_close(cached(x, schedule=EveryStep())[0], plain(x)[0])
