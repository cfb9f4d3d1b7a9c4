"""The backward of plain recurrent cells by hand is that of autograd, over whole sequences under the eager engine."""

from __future__ import annotations

import pytest
import torch
from tests.engines.kernels.comparison import random_state
from tests.engines.kernels.test_recurrent_parity import CELLS

import torchmann as tm
from torchmann.engines.kernels.recurrent.manual_backward import Sequence


@pytest.mark.parametrize("name", CELLS)
def test_whole_sequence(name: str) -> None:
    model = tm.Recurrent(CELLS[name](3, 5), engine="eager").double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = random_state(model, 4)
    leaves = [leaf.requires_grad_() for leaf in state]
    x = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    output, final = model(x, state)
    d_output, d_final = torch.randn_like(output), tuple(torch.randn_like(leaf) for leaf in final)
    weights = dict(model.cell.named_parameters())
    expected = torch.autograd.grad((output, *final), [x, *weights.values(), *leaves], (d_output, *d_final))

    with torch.no_grad():
        sequence = Sequence(model.cell)
        torch.testing.assert_close(sequence.forward(x, tuple(state)), (output, tuple(final)))
        d_x, d_weights, d_state = sequence.backward(d_output, d_final)
    results = [d_x, *(d_weights[name] for name in weights), *d_state]
    torch.testing.assert_close(results, list(expected), rtol=1e-9, atol=1e-11)
