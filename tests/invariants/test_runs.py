"""Rows of a batch do not meet, and evaluation repeats to the last bit."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import torchmann as tm

MODELS = st.sampled_from(
    [
        lambda: tm.DNC(3, 6, slots=18, width=4, reads=2, writes=2),
        lambda: tm.NTM(3, 6, slots=7, width=4, reads=2, writes=2, order="interleaved"),
        lambda: tm.RMC(3, slots=5, width=6, heads=2, preset="port"),
        lambda: tm.DARMC(3, slots=4, width=4, blocks=3, output_size=5),
        lambda: tm.Recurrent(tm.Stacked([tm.cells.LSTMCell(3, 6), tm.cells.GRUCell(6, 5)], dropout=0.5)),
    ]
)


@settings(max_examples=20)
@given(make=MODELS, seed=st.integers(0, 2**32), order=st.permutations(range(4)))
def test_permuting_rows_permutes_the_result(make: Any, seed: int, order: list[int]) -> None:
    torch.manual_seed(seed)
    model, x = make().eval(), 3 * torch.randn(5, 4, 3)
    output, state = model(x)
    permuted_output, permuted_state = model(x[:, order])
    torch.testing.assert_close(permuted_output, output[:, order])
    torch.testing.assert_close(permuted_state.flatten(), state.select(order).flatten())


@settings(max_examples=20)
@given(make=MODELS, seed=st.integers(0, 2**32))
def test_a_row_does_not_see_another(make: Any, seed: int) -> None:
    torch.manual_seed(seed)
    model, x = make().eval(), torch.randn(5, 3, 3)
    gradient = torch.autograd.functional.jacobian(lambda x: model(x)[0].sum(dim=(0, 2)), x)
    for row in range(3):
        others = [other for other in range(3) if other != row]
        assert not gradient[row][:, others].any()
        assert gradient[row][:, row].any()


@settings(max_examples=20)
@given(make=MODELS, seed=st.integers(0, 2**32))
def test_evaluation_is_deterministic(make: Any, seed: int) -> None:
    model = make().eval()
    x = torch.randn(5, 2, 3)
    results = []
    for number in range(2):
        torch.manual_seed(seed + number)
        output, state = model(x)
        results.append([output, *state.flatten().values()])
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))
