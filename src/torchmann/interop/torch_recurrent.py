"""Weights from and to `torch.nn.LSTM`, `torch.nn.GRU` and `torch.nn.RNN`.

Shapes: H hidden.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchmann.cells import ElmanCell, GRUCell, LSTMCell, Stacked
from torchmann.core.cell import Cell
from torchmann.core.errors import OptionError
from torchmann.engines import Recurrent


def from_torch(module: nn.LSTM | nn.GRU | nn.RNN) -> Recurrent:
    """A torchmann model with the weights, layers and layout of a torch one, computing the same.

    Args:
        module: unidirectional, without projection.

    Raises:
        OptionError: another kind of module, or one with an option that torchmann's cells do not have.
    """
    if not isinstance(module, (nn.LSTM, nn.GRU, nn.RNN)):
        raise OptionError(f"module must be torch.nn.LSTM, GRU or RNN, got {type(module).__name__}.")
    if module.bidirectional or module.proj_size:
        raise OptionError("module must be unidirectional and without projection; convert each direction by itself.")
    cells = [_cell_of_layer(module, layer) for layer in range(module.num_layers)]
    cell = cells[0] if len(cells) == 1 else Stacked(cells, dropout=module.dropout)
    return Recurrent(cell, batch_first=module.batch_first).train(module.training)


def _cell_of_layer(module: nn.LSTM | nn.GRU | nn.RNN, layer: int) -> Cell:
    weight_ih = getattr(module, f"weight_ih_l{layer}")
    sizes = (weight_ih.shape[1], module.hidden_size)
    options: dict[str, Any] = {"bias": module.bias, "device": weight_ih.device, "dtype": weight_ih.dtype}
    cell: Any
    if isinstance(module, nn.LSTM):
        cell = LSTMCell(*sizes, **options)
    elif isinstance(module, nn.GRU):
        cell = GRUCell(*sizes, **options)
    else:
        cell = ElmanCell(*sizes, nonlinearity=module.nonlinearity, **options)
    with torch.no_grad():
        cell.weight_ih.copy_(weight_ih)
        cell.weight_hh.copy_(getattr(module, f"weight_hh_l{layer}"))
        if module.bias:
            bias_ih, bias_hh = getattr(module, f"bias_ih_l{layer}"), getattr(module, f"bias_hh_l{layer}")
            if isinstance(module, nn.GRU):  # its candidate keeps the two apart
                cell.bias_ih.copy_(bias_ih)
                cell.bias_hh.copy_(bias_hh)
            else:
                cell.bias.copy_(bias_ih + bias_hh)
    return cell


def to_torch(model: Recurrent) -> nn.LSTM | nn.GRU | nn.RNN:
    """A torch module with the weights, layers and layout of a model of LSTM, GRU or Elman cells, computing the same.

    Raises:
        OptionError: the model has cells, or options of cells, that torch does not have.
    """
    cells: list[Cell] = list(model.cell.cells) if isinstance(model.cell, Stacked) else [model.cell]
    _check_convertible(cells)
    first: Any = cells[0]
    kind = {LSTMCell: nn.LSTM, GRUCell: nn.GRU, ElmanCell: nn.RNN}[type(first)]
    options: dict[str, Any] = {"nonlinearity": first.nonlinearity} if kind is nn.RNN else {}
    biased = _is_biased(first)
    module = kind(
        first.input_size,
        first.hidden_size,
        num_layers=len(cells),
        bias=biased,
        batch_first=model.batch_first,
        dropout=model.cell.dropout if isinstance(model.cell, Stacked) else 0.0,
        device=first.weight_ih.device,
        dtype=first.weight_ih.dtype,
        **options,
    )
    with torch.no_grad():
        for layer, cell in enumerate(cells):
            _copy_to_layer(cell, module, layer, biased)
    return module.train(model.training)


def _check_convertible(cells: list[Any]) -> None:
    kinds = {type(cell) for cell in cells}
    if len(kinds) > 1 or not kinds <= {LSTMCell, GRUCell, ElmanCell}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise OptionError(f"torch has layers of LSTMCell, GRUCell or ElmanCell, all of one kind; got {found}.")
    for cell in cells:
        if cell.hidden_size != cells[0].hidden_size:
            raise OptionError("torch's layers all have one hidden_size; these differ.")
        if _is_biased(cell) != _is_biased(cells[0]):
            raise OptionError("torch's layers all have biases or all have none; these differ.")
        if getattr(cell, "nonlinearity", None) != getattr(cells[0], "nonlinearity", None):
            raise OptionError("torch's layers all have one nonlinearity; these differ.")
        if getattr(cell, "clip", None) is not None or not getattr(cell, "reset_after", True):
            raise OptionError(f"torch's modules know no clip and no reset_after=False, but {type(cell).__name__} has.")
        if any(name.startswith("initial_") for name in cell.state_dict()):
            raise OptionError("torch's modules start at zero; this model has a start of its own.")


def _is_biased(cell: Any) -> bool:
    return (cell.bias_ih if isinstance(cell, GRUCell) else cell.bias) is not None


def _copy_to_layer(cell: Any, module: Any, layer: int, biased: bool) -> None:
    getattr(module, f"weight_ih_l{layer}").copy_(cell.weight_ih)
    getattr(module, f"weight_hh_l{layer}").copy_(cell.weight_hh)
    if biased:
        getattr(module, f"bias_ih_l{layer}").copy_(cell.bias_ih if isinstance(cell, GRUCell) else cell.bias)
        bias_hh = getattr(module, f"bias_hh_l{layer}")
        bias_hh.copy_(cell.bias_hh) if isinstance(cell, GRUCell) else bias_hh.zero_()
