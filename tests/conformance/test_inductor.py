"""The step compiles with inductor, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import torchmann as tm


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [lambda: tm.LSTM(3, 8), lambda: tm.NTM(3, 8, slots=9, width=5), lambda: tm.DNC(3, 8, slots=9, width=5, reads=2)],
    ids=["lstm", "ntm", "dnc"],
)
def test_compiled_step_equals_eager(make: Callable[[], tm.Recurrent]) -> None:
    torch.manual_seed(0)
    model = make()
    x = torch.randn(4, 3, requires_grad=True)
    _, state = model(torch.randn(3, 4, 3))
    state = state.detach()
    results = []
    for step in (model.cell, torch.compile(model.cell, fullgraph=True)):
        output, after = step(x, state)
        gradients = torch.autograd.grad(output.square().sum(), [x, *model.parameters()], allow_unused=True)
        results.append((output, *after.flatten().values(), *(g for g in gradients if g is not None)))
    for compiled, eager in zip(*results[::-1], strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
