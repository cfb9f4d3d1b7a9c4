"""Cached uniform writing against the algorithm of the paper, written again in plain Python for one row."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.memories.slow_dnc import Vector, dot, slow_step
from torch import Tensor

import torchmann as tm
from torchmann.core import OptionError
from torchmann.memories import CachedUniform, DenseFrom

T, B, INPUT, H, WIDTH, READS, OUTPUT = 8, 3, 4, 5, 3, 2, 2


def build(interval: int, **options: Any) -> tm.DNC:
    writing = CachedUniform(interval, attention_size=3)
    sizes = {"slots": 6, "width": WIDTH, "reads": READS, "output_size": OUTPUT}
    return tm.DNC(INPUT, H, writing=writing, dtype=torch.float64, **(sizes | options))


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, INPUT, dtype=torch.float64)


def times(weight: Tensor, vector: Vector) -> Vector:
    return [dot(row, vector) for row in weight.tolist()]


def plus(*vectors: Vector) -> Vector:
    return [sum(values) for values in zip(*vectors, strict=True)]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def slow_lstm(cell: tm.cells.LSTMCell, x: Vector, h: Vector, c: Vector) -> tuple[Vector, Vector]:
    """``(o_t, h_t) = f(h_{t-1}, r_{t-1}, x_t)``, of which c is kept beside h."""
    z = plus(times(cell.weight_ih, x), times(cell.weight_hh, h), cell.bias.tolist())
    i, f, g, o = (z[start : start + H] for start in range(0, 4 * H, H))
    c = [sigmoid(f[n]) * c[n] + sigmoid(i[n]) * math.tanh(g[n]) for n in range(H)]
    return [sigmoid(o[n]) * math.tanh(c[n]) for n in range(H)], c


def slow_attention(attention: tm.cells.CacheAttention, cache: list[Vector], h: Vector, r: Vector) -> Vector:
    """``a_t = sum_j alpha_j d_j`` with ``alpha = softmax_j(v . tanh(W_a h + U_a d_j + V_a r))``."""
    scores = []
    for d in cache:
        parts = [times(attention.from_hidden.weight, h), times(attention.from_cache.weight, d)]
        compared = plus(*parts, times(attention.from_reads.weight, r))
        scores.append(math.exp(times(attention.score.weight, [math.tanh(value) for value in compared])[0]))
    return [sum(score * d[n] for score, d in zip(scores, cache, strict=True)) / sum(scores) for n in range(H)]


def slow_run(model: tm.DNC, x_TI: Tensor, interval: int) -> tuple[list[Vector], dict[str, Any]]:
    """The outputs and the last memory of one row. The write sees the attended state through one controller step."""
    cell, outputs, cache = model.cell, [], []
    memory = {name: leaf[0].tolist() for name, leaf in model.initial_state(1).memory._asdict().items()}
    h, c, r = [0.0] * H, [0.0] * H, [0.0] * (READS * WIDTH)
    for t, x in enumerate(x_TI.tolist(), start=1):
        cache.append(h)  # d_j = h_{t-1-L+j}
        if t % interval == 0:
            h = slow_attention(cell.attention, cache, h, r)
            h, c = slow_lstm(cell.controller, x + r, h, c)
            linear = cell.interface.linear
            interface = torch.tensor([plus(times(linear.weight, h), linear.bias.tolist())], dtype=torch.float64)
            fields = {name: value[0].tolist() for name, value in cell.memory.interface(interface).items()}
            memory = slow_step(fields, memory)
            r = [value for vector in memory.pop("reads") for value in vector]
            cache.clear()
        else:
            h, c = slow_lstm(cell.controller, x + r, h, c)
        outputs.append(plus(times(cell.readout.linear.weight, h + r), cell.readout.linear.bias.tolist()))
    return outputs, memory


@pytest.mark.parametrize("interval", [1, 2, 3, T, T + 1])
@pytest.mark.parametrize("allocation", ["sorted", "softmax"])
def test_equals_the_algorithm_of_the_paper(allocation: str, interval: int) -> None:
    model, x = build(interval, allocation=allocation), inputs(T, B)
    for parameter in model.cell.attention.parameters():
        torch.nn.init.normal_(parameter)  # a choice that shows
    output, state = model(x)
    for row in range(B):
        outputs, memory = slow_run(model, x[:, row], interval)
        torch.testing.assert_close(output[:, row], torch.tensor(outputs, dtype=torch.float64))
        for name, value in memory.items():
            actual = getattr(state.memory, name)[row]
            torch.testing.assert_close(actual, torch.tensor(value, dtype=torch.float64), msg=name)


@pytest.mark.parametrize("controller", ["lstm", "layernorm_lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_permuting_samples_permutes_everything(controller: str, layers: int) -> None:
    """The released code mixes the samples of a batch."""
    model, x, order = build(3, controller=controller, layers=layers), inputs(T, B), [2, 0, 1]
    output, state = model(x)
    permuted, permuted_state = model(x[:, order])
    torch.testing.assert_close(permuted, output[:, order])
    torch.testing.assert_close(permuted_state.flatten(), state.select(order).flatten())


def test_a_sample_does_not_see_another() -> None:
    model, x = build(3), inputs(T, B)
    gradient = torch.autograd.functional.jacobian(lambda x: model(x)[0].sum(dim=(0, 2)), x)
    for row in range(B):
        others = [other for other in range(B) if other != row]
        assert gradient[row][:, row].any() and not gradient[row][:, others].any()


def test_all_cached_states_count_and_none_before() -> None:
    """Each h of the interval has a share in what is written at its end; its own step is seen by the controller."""
    model = build(4)
    attention = model.cell.attention
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()  # all entries alike: their mean
    _, state = model(inputs(7, B))
    assert state.cache.valid.tolist() == [3] * B, "the step after a write starts anew"
    hidden = state.cache.hidden[:, -3:]
    entries = attention.append(state.cache, state.controller.h)
    mixed = attention(entries, state.controller.h, state.reads)
    torch.testing.assert_close(mixed, (hidden.sum(1) + state.controller.h) / 4)


def test_of_a_stack_the_top_layer_is_cached_and_replaced() -> None:
    model = build(2, layers=2)
    _, state = model(inputs(1, B))
    assert not state.cache.hidden.any(), "h_0"
    kept = state.controller.layers[0].h
    cell, replaced = model.cell, []
    cell.controller.register_forward_pre_hook(lambda _, arguments: replaced.append(arguments[1]))
    x = inputs(B)
    cell.cached(x, state)
    assert replaced[0].layers[0].h is kept and replaced[0].layers[1].c is state.controller.layers[1].c
    cache = cell.attention.append(state.cache, state.controller.layers[1].h)
    torch.testing.assert_close(
        replaced[0].layers[1].h, cell.attention(cache, state.controller.layers[1].h, state.reads)
    )


def test_dense_decoding_leaves_the_cache_alone() -> None:
    model, x = build(3), inputs(T, B)
    _, encoded = model(x[:5])
    output, decoded = model(x, schedule=DenseFrom(model.cell, 5))
    again, after = model(x[5:], encoded, start=5, schedule=["dense"] * (T - 5))
    torch.testing.assert_close(output[5:], again)
    torch.testing.assert_close(decoded.flatten(), after.flatten())
    torch.testing.assert_close(decoded.cache, encoded.cache)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_cache_is_found_within_dense_decoding(depth: int) -> None:
    writing: Any = CachedUniform(3, attention_size=3)
    for number in range(depth):
        writing = DenseFrom(writing, T + number)
    model = tm.DNC(INPUT, H, slots=6, width=WIDTH, writing=writing)
    model(torch.randn(T, B, INPUT))
    assert model.cell.attention.interval == 3


@pytest.mark.parametrize("layers", [1, 2])
def test_a_controller_that_forgets_is_refused(layers: int) -> None:
    """Nothing that the attention chooses would ever be looked at."""
    with pytest.raises(OptionError, match=r"feed-forward \(top\) layer does not look at: take a recurrent controller"):
        tm.DNC(INPUT, H, slots=6, width=3, controller="feedforward", layers=layers, writing="cached:3")
    with pytest.raises(OptionError, match="feed-forward"):
        tm.DAM(INPUT, H, slots=6, width=3, controller="feedforward", layers=layers, writing="cached:3")
    below = tm.Stacked([tm.cells.FeedForwardCell(INPUT + 3, H), tm.cells.GRUCell(H, H)])
    tm.MemoryAugmentedCell(below, tm.memories.DNCMemory(6, 3), writing=CachedUniform(3))
