"""Recurrent refuses bad input in one clear sentence, before any work; and its engine keeps what it promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import torchmann as tm
from torchmann.cells import LSTMCell
from torchmann.core.errors import OptionError, ShapeError
from torchmann.memories import EveryStep, Uniform

x = torch.zeros(5, 2, 3)

BAD_CALLS: dict[str, tuple[Callable[[tm.LSTM], Any], type[Exception], str]] = {
    "features": (lambda m: m(torch.zeros(5, 2, 4)), ShapeError, r"3 features.*\(5, 2, 4\).*input_size=4"),
    "tokens": (lambda m: m(torch.zeros(5, 2, 3).long()), ShapeError, r"float tensor.*int64.*embed"),
    "dtype": (lambda m: m(x.double()), ShapeError, r"float32.*float64.*input\.to"),
    "axes": (lambda m: m(torch.zeros(3)), ShapeError, r"\[time, batch, features\].*\(3,\)"),
    "no steps": (lambda m: m(torch.zeros(0, 2, 3)), ShapeError, r"at least one time step.*\(0, 2, 3\)"),
    "lengths number": (lambda m: m(x, lengths=[1]), ShapeError, r"lengths must be \[2\].*\(1,\)"),
    "lengths too long": (lambda m: m(x, lengths=[2, 6]), OptionError, r"1\.\.5.*from 2 to 6"),
    "lengths zero": (lambda m: m(x, lengths=[0, 5]), OptionError, r"1\.\.5.*from 0 to 5.*leave empty rows out"),
    "lengths float": (lambda m: m(x, lengths=torch.ones(2)), ShapeError, r"lengths must be integers.*float32"),
    "lengths unbatched": (lambda m: m(x[:, 0], lengths=[3]), OptionError, r"lengths= needs batched input"),
    "reset dtype": (lambda m: m(x, reset=torch.zeros(5, 2)), ShapeError, r"reset must be boolean.*float32"),
    "reset shape": (lambda m: m(x, reset=torch.zeros(2, 5).bool()), ShapeError, r"\(5, 2\), got \(2, 5\)"),
    "state type": (lambda m: m(x, (1, 2)), ShapeError, r"LSTMState, got tuple"),
    "state batch": (lambda m: m(x, m.initial_state(3)), ShapeError, r"'[hc]' must be \(2, 4\).*\(3, 4\)"),
    "start": (lambda m: m(x, start=-1), OptionError, r"start must be.*-1"),
    "schedule length": (lambda m: m(x, schedule=["dense"]), OptionError, r"each of the 5 steps"),
    "schedule kind": (lambda m: m(x, schedule=["hold"] * 5), OptionError, r"only the step kind 'dense', not 'hold'"),
    "packed lengths": (lambda m: m(pack_sequence([x[:, 0]]), lengths=[5]), OptionError, r"PackedSequence.*no lengths"),
    "noise": (lambda m: m(x, noise=(x,)), ShapeError, r"noise must have the leaves"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_call_is_refused_by_name(case: str) -> None:
    call, error, message = BAD_CALLS[case]
    with pytest.raises(error, match=message):
        call(tm.LSTM(3, 4))


BAD_CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "engine": (lambda: tm.LSTM(3, 4, engine="eagr"), r"unknown engine 'eagr'.*did you mean 'eager'"),
    "size": (lambda: tm.DNC(3, 4, slots=0, width=4), r"slots must be an integer of at least 1, got 0"),
    "hidden": (lambda: tm.LSTM(3, -1), r"hidden_size must be an integer of at least 1, got -1"),
    "controller": (lambda: tm.NTM(3, 4, slots=5, width=4, controller="lstmm"), r"did you mean 'lstm'"),
    "stack": (lambda: tm.Stacked([LSTMCell(3, 4), LSTMCell(5, 4)]), r"cells\[1\] is shown 4 features, but takes 5"),
    "no controller": (
        lambda: tm.MemoryAugmentedCell(tm.DNC(9, 4, slots=3, width=4).cell, tm.memories.DNCMemory(5, 4)),  # type: ignore[arg-type]
        r"must be a torchmann.Controller.*got a MemoryAugmentedCell; .*torchmann.Stacked",
    ),
    "feedback": (
        lambda: tm.MemoryAugmentedCell(LSTMCell(4, 4), tm.memories.DNCMemory(5, 4)),
        r"takes 4 features, but 4 reads are fed back.*feedback=False",
    ),
}


@pytest.mark.parametrize("case", BAD_CONSTRUCTIONS)
def test_bad_construction_is_refused_by_name(case: str) -> None:
    construct, message = BAD_CONSTRUCTIONS[case]
    with pytest.raises(OptionError, match=message):
        construct()


def test_schedule_argument_takes_a_policy_in_place_of_the_cells_own() -> None:
    model = tm.DNC(3, 4, slots=5, width=4, writing=Uniform(3))
    dense = tm.DNC(3, 4, slots=5, width=4)
    dense.load_state_dict(model.state_dict())
    inputs = torch.randn(7, 2, 3)
    torch.testing.assert_close(model(inputs, schedule=EveryStep())[0], dense(inputs)[0])
    assert not torch.allclose(model(inputs)[0], dense(inputs)[0])


def test_hold_steps_do_not_touch_the_memory() -> None:
    model = tm.DNC(3, 4, slots=5, width=4)
    inputs = torch.randn(6, 2, 3)
    with tm.Recorder(model) as recorder:
        model(inputs, schedule=["dense", "hold", "hold", "dense", "hold", "dense"])
    memory, reads = recorder["state.memory.memory"], recorder["reads"]
    changed = [not torch.equal(memory[t], memory[t - 1]) for t in range(1, 6)]
    assert changed == [False, False, True, False, True]
    assert torch.equal(reads[1], reads[0]) and torch.equal(reads[4], reads[3])
    assert len(recorder["memory.write_weights"]) == 3, "a held step computes no weighting at all"


def test_model_trains_in_place_of_nn_lstm() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(6, 16, 3)
    target = inputs.cumsum(0)[..., :1].tanh()
    for make in (torch.nn.LSTM, tm.LSTM, lambda i, h: tm.DNC(i, h, slots=4, width=3)):
        model = make(3, 8)
        head = torch.nn.Linear(8, 1)
        optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-2)
        losses = []
        for _ in range(30):
            output, _ = model(inputs)
            loss = (head(output) - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.7 * losses[0]
