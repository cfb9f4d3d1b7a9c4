from __future__ import annotations

import pytest
import torch

import torchmann as tm
from torchmann.core.errors import OptionError, ShapeError
from torchmann.engines import FusedStepper, fused

pytestmark = pytest.mark.skipif(bool(fused.problem_here()), reason=fused.problem_here() or "there is a kernel")

MODELS = {
    "dnc": lambda **at: tm.DNC(3, 9, slots=5, width=4, reads=2, **at),
    "dam": lambda **at: tm.DAM(3, 9, slots=5, width=4, blocks=3, **at),
    "gru": lambda **at: tm.DNC(3, 9, slots=5, width=4, controller="gru", allocation="softmax", **at),
    "ntm": lambda **at: tm.NTM(3, 9, slots=5, width=4, reads=2, writes=2, order="interleaved", **at),
    "ntm2": lambda **at: tm.NTM2(3, 9, slots=5, width=4, writing="uniform:3", **at),
    "ntm3": lambda **at: tm.NTM3(3, 9, slots=5, width=4, **at),
    "uniform": lambda **at: tm.DNC(3, 9, slots=5, width=4, writing="uniform:3", **at),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 3])
def test_steps_as_the_model_does(name, rows):
    model = MODELS[name](dtype=torch.float64, engine="eager").eval()
    x = torch.randn(8, rows, 3, dtype=torch.float64)
    state = model.initial_state(rows)
    stepper = FusedStepper(model.cell, state)
    with torch.no_grad():
        wanted, final = model(x)
    outputs = torch.stack([stepper(step) for step in x])
    torch.testing.assert_close(outputs, wanted, rtol=1e-9, atol=1e-12)
    for leaf, other in zip(stepper.state.flatten().values(), final.flatten().values(), strict=True):
        torch.testing.assert_close(leaf, other, rtol=1e-9, atol=1e-12)


def test_the_state_that_is_given_stays_and_the_one_that_is_told_is_a_copy():
    model = MODELS["dnc"]().eval()
    state = model.initial_state(2).clone()
    before = state.clone()
    stepper = FusedStepper(model.cell, state)
    stepper(torch.randn(2, 3))
    told = stepper.state
    kept = told.clone()
    stepper(torch.randn(2, 3))
    for left, right in ((state, before), (told, kept)):
        assert all(torch.equal(a, b) for a, b in zip(left.flatten().values(), right.flatten().values(), strict=True))


def test_goes_on_from_another_state_of_another_size():
    model = MODELS["uniform"]().eval()
    stepper = FusedStepper(model.cell, model.initial_state(1))
    stepper(torch.randn(1, 3))
    x = torch.randn(4, 3)
    stepper.load(model.initial_state(4))
    with torch.no_grad():
        wanted, _ = model.step(x, start=1)
    torch.testing.assert_close(stepper(x), wanted)


def test_changed_weights_count_at_once():
    model = MODELS["dnc"]().eval()
    x, state = torch.randn(1, 3), model.initial_state(1)
    stepper = FusedStepper(model.cell, state)
    with torch.no_grad():
        model.cell.controller.weight_ih.mul_(2)
        wanted, _ = model.step(x, state)
    torch.testing.assert_close(stepper(x), wanted)


def test_what_it_cannot_do():
    with pytest.raises(OptionError, match=r"a FusedStepper cannot step this, because .*: use model\.step"):
        model = tm.SAM(3, 4, slots=5, width=4)
        FusedStepper(model.cell, model.initial_state(1))
    model = MODELS["dnc"]()
    stepper = FusedStepper(model.cell, model.initial_state(1))
    with pytest.raises(ShapeError, match=r"input must be \[1, 3\], got \[2, 3\]"):
        stepper(torch.randn(2, 3))
    with pytest.raises(OptionError, match="no step 'rest'"):
        stepper(torch.randn(1, 3), kind="rest")
    with tm.Recorder(model), pytest.raises(OptionError, match=r"record model\.step instead"):
        stepper(torch.randn(1, 3))
    stepper.load(model.initial_state(0))
    assert stepper(torch.randn(0, 3)).shape == (0, 9)
