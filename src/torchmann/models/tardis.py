"""TARDIS.

Sources: Gulcehre, Chandar, Bengio 2017, "Memory augmented neural networks with wormhole connections"; the code of the
ARMIN paper's authors.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from torchmann.cells import TARDISCell
from torchmann.core.start import StartKind
from torchmann.engines import Recurrent
from torchmann.memories import SlotHistory, TardisAddressing, WritingPolicy
from torchmann.models.contract import refuses_lstm_arguments
from torchmann.models.presets import takes_presets
from torchmann.models.read_first import Stored, read_first_cell, zoned


class TARDIS(Recurrent):
    """An LSTM that stores maps of its hidden vectors and reads one of them at each step, never the same twice running.

    Args:
        input_size: features of an input step.
        hidden_size: width of the cell's state.
        slots: number of memory slots.
        width: width of a slot; None is `hidden_size`.
        output_size: features of an output step; None is `hidden_size`.
        preset: whose choices the defaults are (`torchmann.models.preset_table`); keywords go before it.
        key_size: of the trained key that each slot has.
        query_size: width of the comparison of slots; None is a quarter of `hidden_size`.
        sampling: one slot is read, drawn with ``"gumbel"`` noise in training; or all of them, weighted by a
            ``"softmax"``.
        temperature: of either, where it starts; it may be annealed.
        penalty: on the logit of the slot read last.
        penalty_gradient: let the gradient pass through the penalty.
        normalisation: of the logits over the slots, ``"none"``, ``"l2"`` or ``"layer_norm"``.
        order: ``"normalise_first"``, then the penalty, or ``"penalise_first"``.
        read_keys: a read holds the slot's key, too.
        stored: ``"hidden"``: the hidden vector, mapped only where it is not as wide as a slot; ``"mapped"``: a map of
            it in any case; ``"mapped_with_input"``: a map of it and the input.
        addressed_by: part of the state that, with the input, makes the query, ``"h"`` or ``"c"``.
        gate_temperature: of the two gates before the candidate.
        peepholes: let the gates see the cell.
        output_reads: show the reads to the output.
        zoneout_keep: probability with which a unit of the state takes its new value in training; None: always.
        forget_bias: where the bias of the forget gate starts.
        initial_controller: where h and c start: ``"constant"`` 0, ``"learned"``, ``"tanh"`` of learned.
        initial_memory: where the memory starts: ``"constant"`` 0, ``"learned"`` from there, or ``"random"``.
        output_init: start of the output layer, ``"orthogonal"`` or ``"xavier"``.
        writing: when the memory is used: a policy, ``"every"`` step, ``"uniform:L"``, ``"cached:L"``, ``"random:P"``.
        batch_first: input and output are ``[batch, time, features]``.
        engine: how the cell is unrolled.
        device: of the parameters.
        dtype: of the parameters.
    """

    @takes_presets
    @refuses_lstm_arguments
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        slots: int,
        width: int | None = None,
        output_size: int | None = None,
        preset: str = "recommended",
        key_size: int = 5,
        query_size: int | None = None,
        sampling: Literal["gumbel", "softmax"] = "gumbel",
        temperature: float = 1.0,
        penalty: float = 100.0,
        penalty_gradient: bool = False,
        normalisation: Literal["none", "l2", "layer_norm"] = "none",
        order: Literal["normalise_first", "penalise_first"] = "normalise_first",
        read_keys: bool = False,
        stored: Stored = "mapped",
        addressed_by: Literal["h", "c"] = "h",
        gate_temperature: float = 0.3,
        peepholes: bool = False,
        output_reads: bool = True,
        zoneout_keep: float | None = None,
        forget_bias: float = 1.0,
        initial_controller: StartKind = "constant",
        initial_memory: StartKind = "constant",
        output_init: Literal["orthogonal", "xavier"] = "orthogonal",
        writing: WritingPolicy | str | None = None,
        batch_first: bool = False,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        width = hidden_size if width is None else width
        addressing = TardisAddressing(
            slots,
            width,
            query_size=max(1, hidden_size // 4) if query_size is None else query_size,
            key_size=key_size,
            penalty=penalty,
            penalty_gradient=penalty_gradient,
            normalisation=normalisation,
            order=order,
            sampling=sampling,
            temperature=temperature,
            **at,
        )
        memory = SlotHistory(
            slots, width, addressing=addressing, read_keys=read_keys, initial_memory=initial_memory, **at
        )
        driver = TARDISCell(
            input_size + memory.read_size,
            hidden_size,
            read_size=memory.read_size,
            temperature=gate_temperature,
            peepholes=peepholes,
            forget_bias=forget_bias,
            initial=initial_controller,
            **at,
        )
        cell = read_first_cell(
            zoned(driver, zoneout_keep, "zoned"),
            memory,
            addressed_by=addressed_by,
            stored=stored,
            shown_reads=memory.read_size if output_reads else 0,
            output_size=hidden_size if output_size is None else output_size,
            output_init=output_init,
            writing=writing,
            **at,
        )
        super().__init__(cell, batch_first=batch_first, engine=engine)
