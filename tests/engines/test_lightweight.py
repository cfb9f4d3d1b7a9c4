"""Light-weight inference gives what evaluation of the training form gives, and touches one slot a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import torchmann as tm
from torchmann.core import OptionError
from torchmann.core.state import named_leaves
from torchmann.engines import LightweightStepper
from torchmann.memories import SlotHistory

MODELS: dict[str, Callable[..., tm.Recurrent]] = {
    "armin": lambda **options: tm.ARMIN(3, 6, slots=4, **options),
    "armin-mapped-norm-zoneout": lambda **options: tm.ARMIN(
        3, 6, slots=3, width=4, layer_norm=True, zoneout_keep=0.5, initial_memory="learned", **options
    ),
    "awta": lambda **options: tm.AwTA(3, 8, slots=5, width=4, **options),
    "tardis": lambda **options: tm.TARDIS(3, 8, slots=4, **options),
    "gru": lambda **options: tm.Recurrent(
        tm.cells.ReadFirstCell(tm.cells.GRUCell(3 + 5, 5), SlotHistory(4, 5), **options)
    ),
}
WRITING = (None, "uniform:3", "random:0.5")


def spread(model: tm.Recurrent) -> tm.Recurrent:
    """Weights large enough that which slot is best is clear, and changes."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    return model.eval().requires_grad_(False)


def leaves(result: tuple[Tensor, Any]) -> dict[str, Tensor]:
    return {"output": result[0], **dict(named_leaves(result[1]))}


def agree(actual: tuple[Tensor, Any], expected: tuple[Tensor, Any]) -> None:
    found, wanted = leaves(actual), leaves(expected)
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, wanted[name], msg=lambda text, name=name: f"{name}: {text}")


def both(model: tm.Recurrent, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    results = []
    for engine in ("lightweight", "eager"):
        model.engine = engine
        results.append(model(*arguments, **options))
    return results[0], results[1]


@pytest.mark.parametrize("writing", WRITING)
@pytest.mark.parametrize("name", MODELS)
def test_as_eager(name: str, writing: str | None) -> None:
    model = spread(MODELS[name](writing=writing))
    agree(*both(model, torch.randn(13, 4, 3)))


@pytest.mark.parametrize("name", MODELS)
def test_lengths_resets_and_carried_states(name: str) -> None:
    model = spread(MODELS[name]())
    x = torch.randn(11, 5, 3)
    agree(*both(model, x, lengths=[11, 1, 7, 3, 11]))
    agree(*both(model, x, reset=torch.rand(11, 5) < 0.2))
    _, state = model(torch.randn(6, 5, 3))
    agree(*both(model, x, state, start=6))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 9), st.sampled_from(sorted(MODELS)))
def test_any_weights_and_input(seed: int, batch: int, steps: int, name: str) -> None:
    torch.manual_seed(seed)
    agree(*both(spread(MODELS[name]()), torch.randn(steps, batch, 3)))


def test_the_stepper_goes_step_by_step_and_changes_no_state_but_its_own() -> None:
    model = spread(tm.ARMIN(3, 6, slots=4, writing="uniform:2"))
    x = torch.randn(9, 2, 3)
    start = model(torch.randn(3, 2, 3))[1]
    before = start.clone()
    stepper = LightweightStepper(model.cell, start, start=3)
    outputs = torch.stack([stepper(step) for step in x])
    agree((outputs, stepper.state), model(x, start, start=3))
    kept = stepper.state
    copy = kept.clone()
    stepper(x[0])
    for held, was in ((start, before), (kept, copy)):
        assert all(torch.equal(leaf, was.flatten()[name]) for name, leaf in held.flatten().items())


def test_one_slot_is_touched_a_step() -> None:
    model = spread(tm.ARMIN(3, 6, slots=5))
    stepper = LightweightStepper(model.cell, model.initial_state(1))
    buffer = stepper.slots_BNW
    for step in range(12):
        before = buffer.clone()
        stepper(torch.randn(1, 3))
        changed = (buffer != before).any(-1)[0].nonzero().flatten().tolist()
        assert changed == ([step] if step < 5 else stepper.last_B.tolist())
        assert stepper.slots_BNW is buffer, "the buffer is changed in place"


def test_a_recorder_sees_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model = spread(tm.ARMIN(3, 6, slots=4))
    model.engine = "lightweight"
    with tm.Recorder(model) as recorder:
        output, _ = model(torch.randn(7, 2, 3))
    assert recorder["memory.read_weights"].shape == (7, 2, 1, 4) and output.shape == (7, 2, 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tm.LSTM(3, 4, engine="lightweight"), "runs a ReadFirstCell with a SlotHistory.*got a LSTMCell"),
        (lambda: tm.DNC(3, 4, slots=4, width=3, engine="lightweight"), "got a MemoryAugmentedCell: use engine='eager'"),
        (lambda: tm.ARMIN(3, 4, slots=4, sampling="softmax", engine="lightweight"), "use sampling='gumbel'"),
        (lambda: tm.ARMIN(3, 4, slots=4, writing="cached:2", engine="lightweight"), "no step 'cache.*'"),
    ],
)
def test_what_it_cannot_run(make: Callable[[], tm.Recurrent], message: str) -> None:
    model = make().eval().requires_grad_(False)
    with pytest.raises(OptionError, match=message):
        model(torch.randn(5, 2, 3))


def test_it_gives_no_gradients_and_draws_nothing() -> None:
    model = tm.ARMIN(3, 4, slots=4, engine="lightweight")
    with pytest.raises(OptionError, match=r"draws nothing: call model\.eval\(\)"):
        model(torch.randn(5, 2, 3))
    with pytest.raises(OptionError, match=r"gives no gradients: call it under torch.no_grad\(\)"):
        model.eval()(torch.randn(5, 2, 3))
    with torch.no_grad():
        assert not model(torch.randn(5, 2, 3))[0].requires_grad
