"""The memory of the relational memory core: slots that attend to each other and to the input.

Shapes: B batch, N slots, M rows (the slots and the input), W width, H heads, D key, G width of a gate.
Source: Santoro et al. 2018, "Relational recurrent neural networks", and the code of its authors (Sonnet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.core.recorder import record
from torchmann.core.state import state
from torchmann.functional import (
    activation_named,
    dot_product_attention,
    gated_update,
    merge_heads,
    slot_gates,
    split_heads,
)
from torchmann.memories.memory import Half, Memory

GATE_STYLES = ("unit", "memory", "none")
NORMS = ("row", "joint")


@state
class RelationalState(NamedTuple):
    """What a relational memory carries: its slots."""

    memory: Tensor  # [B, N, W]


class RelationalMemory(Memory):
    """Slots that gather from each other and from the input by attention, and take it in through gates.

    The interface is the projected input, a row beside the slots; the reads are the memory itself, row after row.

    Args:
        slots: N.
        width: W, shared out among the heads.
        heads: H.
        key_size: D, of a head's queries and keys; None is ``W / H``, the size of its values.
        attention_blocks: rounds of attention in one step.
        mlp_layers: of the MLP that every row goes through after each round.
        gate_style: an input and a forget gate for every ``"unit"`` of a slot, or one each for a whole slot of the
            ``"memory"``; ``"none"``: what was gathered replaces the memory.
        forget_bias: added to the forget gates.
        input_bias: added to the input gates.
        trained_gate_biases: learn these two numbers.
        norm: layer normalisation of every ``"row"`` for itself, or ``"joint"``, of all rows together with a gain for
            each entry, by which slots differ for good.
        tied_mlp: the layers of the MLP are one and the same.
        mlp_output: activation after the last layer of the MLP, such as ``"none"`` or ``"relu"``.
        tied_blocks: the rounds are one and the same; otherwise only the MLP is common to them.

    Raises:
        OptionError: a size below one, a width that is no multiple of the heads, or an unknown name.
    """

    references = ("rmc",)

    def __init__(
        self,
        slots: int,
        width: int,
        *,
        heads: int = 4,
        key_size: int | None = None,
        attention_blocks: int = 1,
        mlp_layers: int = 2,
        gate_style: Literal["unit", "memory", "none"] = "unit",
        forget_bias: float = 1.0,
        input_bias: float = 0.0,
        trained_gate_biases: bool = False,
        norm: Literal["row", "joint"] = "row",
        tied_mlp: bool = False,
        mlp_output: str = "none",
        tied_blocks: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_positive(slots=slots, width=width, heads=heads)
        if width % heads:
            raise OptionError(f"width must be a multiple of heads, got width={width} and heads={heads}.")
        key_size = width // heads if key_size is None else key_size
        require_positive(key_size=key_size, attention_blocks=attention_blocks, mlp_layers=mlp_layers)
        if gate_style not in GATE_STYLES:
            raise unknown_name("gate_style", gate_style, GATE_STYLES)
        if norm not in NORMS:
            raise unknown_name("norm", norm, NORMS)
        self.slots, self.width, self.gate_style = slots, width, gate_style
        self.attention_blocks, self.mlp_layers = attention_blocks, mlp_layers
        self.interface_size, self.read_size = width, slots * width
        self.mlp_output = activation_named(mlp_output)

        at: dict[str, Any] = {"device": device, "dtype": dtype}
        normed_rows = (slots + 1,) if norm == "joint" else ()
        self.attention = nn.ModuleList(
            AttentionBlock(width, heads, key_size, normed_rows, **at)
            for _ in range(1 if tied_blocks else attention_blocks)
        )
        self.mlp: Any = nn.ModuleList(linear(width, width, **at) for _ in range(1 if tied_mlp else mlp_layers))
        if gate_style != "none":
            gates = 2 * (width if gate_style == "unit" else 1)
            self.gates_from_input, self.gates_from_memory = linear(width, gates, **at), linear(width, gates, **at)
            self.input_bias = gate_bias(input_bias, trained_gate_biases, **at)
            self.forget_bias = gate_bias(forget_bias, trained_gate_biases, **at)

    def initial_state(self, batch_size: int) -> RelationalState:
        """The identity, cut or padded with zeros: every slot starts as another unit vector, and none is trained.

        Slots beyond the width start alike, as zeros; with ``norm="row"`` they stay alike, and are of no use.
        """
        weight = self.mlp[0].weight
        start_NW = torch.eye(self.slots, self.width, device=weight.device, dtype=weight.dtype)
        return RelationalState(start_NW.expand(batch_size, -1, -1))

    def initial_reads(self, batch_size: int) -> Tensor:
        """The initial memory."""
        return self.initial_state(batch_size).memory.flatten(1)

    def columns(self, half: Half) -> Sequence[int]:
        """All for writing; reading needs none, it takes the whole memory."""
        return range(self.interface_size if half == "only_write" else 0)

    def row_mlp(self, rows_BMW: Tensor) -> Tensor:
        """Every row through the MLP, ReLU between its layers."""
        for number in range(self.mlp_layers):
            rows_BMW = self.mlp[number % len(self.mlp)](rows_BMW)
            rows_BMW = rows_BMW.relu() if number < self.mlp_layers - 1 else self.mlp_output(rows_BMW)
        return rows_BMW

    def gather(self, input_BW: Tensor, memory_BNW: Tensor) -> Tensor:
        """What the slots gather from each other and from the input, ``[B, N, W]``."""
        rows_BMW = torch.cat([memory_BNW, input_BW.unsqueeze(1)], dim=1)
        for number in range(self.attention_blocks):
            block = self.attention[number % len(self.attention)]
            rows_BMW, weights_BHMM = block(rows_BMW, self.row_mlp)
            record(self, f"attention_{number}", weights_BHMM)
        return rows_BMW[:, :-1]

    def write(self, input_BW: Tensor, memory_BNW: Tensor) -> Tensor:
        """The new memory ``[B, N, W]``."""
        gathered_BNW = self.gather(input_BW, memory_BNW)
        if self.gate_style == "none":
            return gathered_BNW
        input_BNG, forget_BNG = slot_gates(
            self.gates_from_input(input_BW),
            self.gates_from_memory(memory_BNW.tanh()),
            input_bias=self.input_bias,
            forget_bias=self.forget_bias,
        )
        record(self, "input_gate", input_BNG)
        record(self, "forget_gate", forget_BNG)
        return gated_update(memory_BNW, gathered_BNW, input_BNG, forget_BNG)

    def forward(
        self, interface_BW: Tensor, state: RelationalState, noise: None = None
    ) -> tuple[Tensor, RelationalState]:
        """One step: write, then read the new memory."""
        _, state = self.only_write(interface_BW, state)
        return self.only_read(interface_BW, state)

    def only_read(
        self, interface_BW: Tensor, state: RelationalState, noise: None = None
    ) -> tuple[Tensor, RelationalState]:
        """The memory as it is; what the interface says goes nowhere."""
        return state.memory.flatten(1), state

    def only_write(
        self, interface_BW: Tensor, state: RelationalState, noise: None = None
    ) -> tuple[None, RelationalState]:
        """Write; nothing is read."""
        return None, RelationalState(self.write(interface_BW, state.memory))


class AttentionBlock(nn.Module):
    """One round: attention among the rows, then an MLP on each, both with a residual and layer normalisation.

    Args:
        width: W.
        heads: H, each with ``W / H`` values.
        key_size: D, of a head's queries and keys.
        normed_rows: ``()`` to normalise every row for itself, ``(M,)`` to normalise M rows together.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        key_size: int,
        normed_rows: tuple[int, ...],
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.sizes = heads, [key_size, key_size, width // heads]
        numbers = heads * sum(self.sizes)
        at: dict[str, Any] = {"device": device, "dtype": dtype}
        self.qkv = linear(width, numbers, **at)
        self.qkv_norm = nn.LayerNorm((*normed_rows, numbers), **at)
        self.attention_norm = nn.LayerNorm((*normed_rows, width), **at)
        self.mlp_norm = nn.LayerNorm((*normed_rows, width), **at)

    def forward(self, rows_BMW: Tensor, mlp: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The rows after the round ``[B, M, W]``, and the weights of its attention ``[B, H, M, M]``."""
        qkv_BHMF = split_heads(self.qkv_norm(self.qkv(rows_BMW)), self.heads)
        queries_BHMD, keys_BHMD, values_BHMV = qkv_BHMF.split(self.sizes, dim=-1)
        gathered_BHMV, weights_BHMM = dot_product_attention(queries_BHMD, keys_BHMD, values_BHMV)
        rows_BMW = self.attention_norm(rows_BMW + merge_heads(gathered_BHMV))
        return self.mlp_norm(rows_BMW + mlp(rows_BMW)), weights_BHMM


def linear(inputs: int, outputs: int, *, device: Any, dtype: torch.dtype | None) -> nn.Linear:
    """A linear layer that starts as in Sonnet: weights of deviation ``1 / sqrt(inputs)``, cut at two, and no bias."""
    layer = nn.Linear(inputs, outputs, device=device, dtype=dtype)
    deviation = inputs**-0.5
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    nn.init.zeros_(layer.bias)
    return layer


def gate_bias(value: float, trained: bool, *, device: Any, dtype: torch.dtype | None) -> float | nn.Parameter:
    """A number, or one to be learned that starts there."""
    return nn.Parameter(torch.tensor(value, device=device, dtype=dtype)) if trained else value
