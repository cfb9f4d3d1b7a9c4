"""Our DAM computes what taewonpark/DAM computes."""

from __future__ import annotations

import pytest
import torch
from tests.parity import dam
from tests.parity.golden import Golden, check_forward, check_gradients

CASES = ["dam-k1", "dam-k2", "dam-k3", "dam-k2-drop-mlp"]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_states(case: str) -> None:
    check_forward(Golden.load(case), dam.replay, dam.SLOT_AXES)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    check_gradients(Golden.load(case), dam.replay)


def test_what_goes_nowhere_there_goes_nowhere_here() -> None:
    """The gradient into the fed write weights is cut, and the fed attentive gate is of no use."""
    golden = Golden.load("dam-k3")
    leaves = golden.leaves()
    output, _ = dam.replay(golden, leaves)
    dead = [f"initial_state/{name}" for name in ("write_weights", "attentive_gate")]
    found = torch.autograd.grad(output.sum(), [leaves[key] for key in dead], allow_unused=True)
    assert found == (None, None) and not {f"grad/{key}" for key in dead} & golden.arrays.keys()


def test_recorded_mask_is_what_the_bypass_draws() -> None:
    """Training draws such a mask itself; evaluation sees all of the controller."""
    golden = Golden.load("dam-k2-drop-mlp")
    model, recorded = dam.build(golden), dam.noise(golden)
    assert recorded is not None and recorded.kept.unique().tolist() == [0, 1]
    spec = model.cell.noise_spec(golden.sizes["B"])
    assert spec.kept.shape == recorded.kept.shape[1:] and spec.kept.probability == pytest.approx(0.7)
    x = golden.arrays["input"]
    full = recorded._replace(kept=torch.full_like(recorded.kept, 0.7))
    torch.testing.assert_close(model.eval()(x)[0], model(x, noise=full)[0])
    assert not torch.allclose(model(x)[0], model(x, noise=recorded)[0])
