"""Our LSTM, GRU and RNN compute what torch's compute, in every way in which these can be called."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import torchmann as tm

T, B, INPUT, H = 6, 4, 3, 5
MAKE = {
    "lstm": lambda **options: nn.LSTM(INPUT, H, **options),
    "gru": lambda **options: nn.GRU(INPUT, H, **options),
    "rnn": lambda **options: nn.RNN(INPUT, H, **options),
    "rnn-relu": lambda **options: nn.RNN(INPUT, H, nonlinearity="relu", **options),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "three layers": {"num_layers": 3},
    "no bias": {"bias": False},
    "batch first": {"batch_first": True, "num_layers": 2},
}
everywhere = pytest.mark.parametrize("kind", MAKE)


def leaves(state: Any, layers: int) -> tuple[Tensor, ...]:
    """Our state as torch lays it out: each of its leaves ``[layers, B, H]``, h before c."""
    per_layer = state.layers if layers > 1 else (state,)
    return tuple(torch.stack(leaf) for leaf in zip(*per_layer, strict=True))


def unstack(example: Any, stacked: tuple[Tensor, ...]) -> Any:
    """Torch's state as ours, of the structure of `example`."""
    if hasattr(example, "layers"):
        layers = [type(layer)(*(leaf[n] for leaf in stacked)) for n, layer in enumerate(example.layers)]
        return type(example)(tuple(layers))
    return type(example)(*(leaf[0] for leaf in stacked))


def torch_state(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def agree(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def check_gradients(theirs: nn.Module, ours: tm.Recurrent) -> None:
    """After a backward pass through both."""
    layers = theirs.num_layers
    for layer in range(layers):
        cell = ours.cell.cells[layer] if layers > 1 else ours.cell
        for name in ("weight_ih", "weight_hh"):
            agree(getattr(cell, name).grad, getattr(theirs, f"{name}_l{layer}").grad)
        if theirs.bias:
            bias = cell.bias_ih if isinstance(theirs, nn.GRU) else cell.bias
            agree(bias.grad, getattr(theirs, f"bias_ih_l{layer}").grad)


@everywhere
@pytest.mark.parametrize("variant", VARIANTS)
def test_output_state_and_gradients(kind: str, variant: str) -> None:
    theirs = MAKE[kind](**VARIANTS[variant])
    ours = tm.from_torch(theirs)
    x = torch.randn(B, T, INPUT) if theirs.batch_first else torch.randn(T, B, INPUT)
    results = []
    for model in (theirs, ours):
        given = x.clone().requires_grad_()
        output, state = model(given)
        state = torch_state(state) if model is theirs else leaves(state, theirs.num_layers)
        sum(value.square().sum() for value in (output, *state)).backward()
        results.append((output, state, given.grad))
    agree(results[1], results[0])
    check_gradients(theirs, ours)


@everywhere
@pytest.mark.parametrize("layers", [1, 2])
def test_given_state(kind: str, layers: int) -> None:
    theirs = MAKE[kind](num_layers=layers)
    ours = tm.from_torch(theirs)
    start = tuple(torch.randn(layers, B, H) for _ in range(2 if kind == "lstm" else 1))
    x = torch.randn(T, B, INPUT)
    results = []
    for model in (theirs, ours):
        given = tuple(leaf.clone().requires_grad_() for leaf in start)
        if model is theirs:
            output, state = model(x, given if kind == "lstm" else given[0])
            state = torch_state(state)
        else:
            output, state = model(x, unstack(ours.initial_state(B), given))
            state = leaves(state, layers)
        sum(value.square().sum() for value in (output, *state)).backward()
        results.append((output, state, tuple(leaf.grad for leaf in given)))
    agree(results[1], results[0])


@everywhere
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_and_lengths(kind: str, layers: int, batch_first: bool) -> None:
    theirs = MAKE[kind](num_layers=layers, batch_first=batch_first)
    ours = tm.from_torch(theirs)
    x = torch.randn(B, T, INPUT) if batch_first else torch.randn(T, B, INPUT)
    lengths = torch.tensor([4, 6, 1, 3])
    packed = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
    output, state = theirs(packed)
    padded, _ = pad_packed_sequence(output, batch_first=batch_first)

    our_packed, our_state = ours(packed)
    agree(our_packed.data, output.data)
    assert torch.equal(our_packed.batch_sizes, output.batch_sizes)
    agree(leaves(our_state, layers), torch_state(state))
    our_padded, our_state = ours(x, lengths=lengths)
    agree(our_padded, padded)
    agree(leaves(our_state, layers), torch_state(state))


@everywhere
def test_unbatched(kind: str) -> None:
    theirs = MAKE[kind]()
    x = torch.randn(T, INPUT)
    output, state = theirs(x)
    our_output, our_state = tm.from_torch(theirs)(x)
    agree(our_output, output)
    agree(tuple(our_state), tuple(leaf[0] for leaf in torch_state(state)))


@everywhere
@pytest.mark.parametrize("variant", VARIANTS)
def test_there_and_back(kind: str, variant: str) -> None:
    theirs = MAKE[kind](**VARIANTS[variant])
    back = tm.to_torch(tm.from_torch(theirs))
    x = torch.randn(T, T, INPUT)  # the same in either layout
    assert type(back) is type(theirs) and back.batch_first == theirs.batch_first
    agree(back(x)[0], theirs(x)[0])


@pytest.mark.parametrize("make", [tm.LSTM, tm.GRU, tm.RNN])
def test_our_models_as_torchs(make: Any) -> None:
    ours = make(INPUT, H)
    x = torch.randn(T, B, INPUT)
    output, state = ours(x)
    their_output, their_state = tm.to_torch(ours)(x)
    agree(output, their_output)
    agree(leaves(state, 1), torch_state(their_state))
