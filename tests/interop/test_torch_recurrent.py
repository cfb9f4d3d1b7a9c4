"""What cannot be converted is refused by name; what can is compared with torch in `tests/parity`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import torchmann as tm
from torchmann.cells import ElmanCell, GRUCell, LSTMCell
from torchmann.core import OptionError


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.LSTM(3, 4, bidirectional=True), "must be unidirectional.*convert each direction"),
        (nn.LSTM(3, 4, proj_size=2), "without projection"),
        (nn.Linear(3, 4), r"must be torch\.nn\.LSTM, GRU or RNN, got Linear"),
        (nn.LSTMCell(3, 4), "got LSTMCell"),
    ],
)
def test_what_torch_has_and_we_do_not(module: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tm.from_torch(module)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda: LSTMCell(3, 4, clip=1.0), "no clip.*LSTMCell has"),
        (lambda: GRUCell(3, 4, reset_after=False), "no reset_after=False, but GRUCell has"),
        (lambda: ElmanCell(3, 4, initial="learned"), "start at zero"),
        (lambda: LSTMCell(3, 4, initial="random"), "start at zero"),
        (lambda: tm.cells.LayerNormLSTMCell(3, 4), "got LayerNormLSTMCell"),
        (lambda: tm.Stacked([LSTMCell(3, 4), GRUCell(4, 4)]), "all of one kind; got GRUCell, LSTMCell"),
        (lambda: tm.Stacked([LSTMCell(3, 4), LSTMCell(4, 5)]), "all have one hidden_size; these differ"),
        (lambda: tm.DNC(3, 4, slots=4, width=3).cell, "got MemoryAugmentedCell"),
    ],
)
def test_what_we_have_and_torch_does_not(cell: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tm.to_torch(tm.Recurrent(cell()))


def test_conversion_copies() -> None:
    theirs = nn.LSTM(3, 4)
    ours = tm.from_torch(theirs)
    before = theirs.weight_ih_l0.clone()
    with torch.no_grad():
        ours.cell.weight_ih.zero_()
    assert torch.equal(theirs.weight_ih_l0, before)


def test_dropout_mode_dtype_and_device_come_along() -> None:
    ours = tm.from_torch(nn.GRU(3, 4, num_layers=2, dropout=0.25, dtype=torch.float64).eval())
    assert ours.cell.dropout == 0.25 and not ours.training and ours.cell.cells[1].weight_hh.dtype == torch.float64
    assert tm.from_torch(nn.RNN(3, 4, device="meta")).cell.weight_ih.is_meta
    back = tm.to_torch(ours.train())
    assert back.dropout == 0.25 and back.training and back.weight_hh_l1.dtype == torch.float64


@pytest.mark.parametrize(
    "cells",
    [
        lambda: [LSTMCell(3, 4, bias=False), LSTMCell(4, 4)],
        lambda: [LSTMCell(3, 4), LSTMCell(4, 4, bias=False)],
        lambda: [ElmanCell(3, 4, nonlinearity="relu"), ElmanCell(4, 4)],
    ],
    ids=["bias above", "bias below", "nonlinearity"],
)
def test_layers_that_differ_have_no_counterpart(cells: Any) -> None:
    with pytest.raises(OptionError, match="all"):
        tm.to_torch(tm.Recurrent(tm.Stacked(cells())))
