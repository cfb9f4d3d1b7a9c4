"""The relational memory: its step written out, and what must hold of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import torchmann as tm
from torchmann.core import OptionError
from torchmann.memories import RelationalMemory, RelationalState

B, N, W, H = 3, 4, 6, 2
PORT: dict[str, Any] = {
    "tied_mlp": True,
    "mlp_output": "relu",
    "norm": "joint",
    "tied_blocks": True,
    "trained_gate_biases": True,
}
FORMS: dict[str, dict[str, Any]] = {
    "default": {},
    "two-blocks": {"attention_blocks": 2},
    "port": PORT,
    "port-two-blocks": PORT | {"attention_blocks": 2},
    "memory-gates": {"gate_style": "memory", "key_size": 5},
    "no-gates": {"gate_style": "none", "mlp_layers": 3},
}
every_form = pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)


def make(*, slots: int = N, **options: Any) -> Any:
    """A memory in which no parameter, biases and gains included, is at its start."""
    memory = RelationalMemory(slots, W, **({"heads": H, "dtype": torch.float64} | options))
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return memory


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def normed(norm: torch.nn.LayerNorm, value: Tensor) -> Tensor:
    """Layer normalisation of each row, or of all rows together, in the norm's own words."""
    axes = tuple(range(-norm.weight.dim(), 0))
    centred = value - value.mean(axes, keepdim=True)
    return norm.weight * centred / (centred.square().mean(axes, keepdim=True) + 1e-5).sqrt() + norm.bias


def written_out(memory: Any, x: Tensor, old: Tensor) -> Tensor:
    """The new memory by the steps of the specification, with torch's own attention."""
    all_rows = torch.cat([old, x.unsqueeze(1)], dim=1)
    for number in range(memory.attention_blocks):
        block = memory.attention[min(number, len(memory.attention) - 1)]
        qkv = normed(block.qkv_norm, block.qkv(all_rows)).view(B, N + 1, H, -1).transpose(1, 2)
        key = block.sizes[0]
        attended = F.scaled_dot_product_attention(qkv[..., :key], qkv[..., key : 2 * key], qkv[..., 2 * key :])
        all_rows = normed(block.attention_norm, all_rows + attended.transpose(1, 2).reshape(B, N + 1, W))
        hidden = all_rows
        for layer in range(memory.mlp_layers):
            if layer:
                hidden = hidden.relu()
            hidden = memory.mlp[min(layer, len(memory.mlp) - 1)](hidden)
        all_rows = normed(block.mlp_norm, all_rows + memory.mlp_output(hidden))
    candidate = all_rows[:, :N]
    if memory.gate_style == "none":
        return candidate
    gates = memory.gates_from_input(x).unsqueeze(1) + memory.gates_from_memory(old.tanh())
    half = gates.shape[-1] // 2
    taken, kept = (gates[..., :half] + memory.input_bias).sigmoid(), (gates[..., half:] + memory.forget_bias).sigmoid()
    return taken * candidate.tanh() + kept * old


@every_form
def test_step_is_the_specification_written_out(options: dict[str, Any]) -> None:
    memory, x, old = make(**options), rows(B, W), rows(B, N, W)
    reads, state = memory(x, RelationalState(old))
    expected = written_out(memory, x, old)
    assert state.memory.shape == (B, N, W) and reads.shape == (B, N * W) == (B, memory.read_size)
    torch.testing.assert_close((state.memory, reads), (expected, expected.flatten(1)))


@pytest.mark.parametrize("width", [3, 4, 6])
def test_memory_starts_as_the_identity_padded_or_cut(width: int) -> None:
    memory = RelationalMemory(4, width, heads=1)
    start = memory.initial_state(2)
    for row in start.memory:
        assert row.tolist() == [[float(column == slot) for column in range(width)] for slot in range(4)]
    assert torch.equal(memory.initial_reads(2), start.memory.flatten(1))
    assert not start.memory.requires_grad


@pytest.mark.parametrize("gate_style", ["unit", "memory"])
def test_shut_input_and_open_forget_gates_keep_the_memory(gate_style: Any) -> None:
    memory = make(gate_style=gate_style, input_bias=-1e4, forget_bias=1e4)
    old = rows(B, N, W)
    _, state = memory(rows(B, W), RelationalState(old))
    assert torch.equal(state.memory, old)


def test_without_gates_the_memory_is_replaced() -> None:
    memory = make(gate_style="none")
    torch.nn.init.zeros_(memory.attention[0].mlp_norm.weight)
    _, state = memory(rows(B, W), RelationalState(rows(B, N, W)))
    torch.testing.assert_close(state.memory, memory.attention[0].mlp_norm.bias.expand(B, N, W))


def permuted(options: dict[str, Any], order: list[int]) -> tuple[Tensor, Tensor]:
    """The new memory of permuted slots, and the new memory permuted."""
    memory, x, old = make(**options), rows(B, W), rows(B, N, W)
    _, state = memory(x, RelationalState(old))
    _, other = memory(x, RelationalState(old[:, order]))
    return other.memory, state.memory[:, order]


@settings(max_examples=30)
@given(
    name=st.sampled_from([name for name in FORMS if "port" not in name]),
    order=st.permutations(range(N)),
    seed=st.integers(0, 2**32),
)
def test_permuting_slots_permutes_the_memory(name: str, order: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    torch.testing.assert_close(*permuted(FORMS[name], order))


def test_joint_normalisation_tells_slots_apart_by_place() -> None:
    actual, expected = permuted(PORT, [1, 0, 3, 2])
    assert (actual - expected).abs().max() > 1e-2


def test_slots_that_start_alike_stay_alike_unless_normalised_together() -> None:
    """Why more slots than the identity tells apart are of no use."""
    start = torch.eye(6, 4, dtype=torch.float64)  # slots 4 and 5 are zeros
    for options, alike in (({}, True), ({"norm": "joint"}, False)):
        memory, state = make(slots=6, **options), RelationalState(F.pad(start, (0, 2)).expand(B, -1, -1))
        for x in rows(3, B, W):
            _, state = memory(x, state)
        assert torch.allclose(state.memory[:, 4], state.memory[:, 5], atol=1e-12) == alike


@every_form
def test_every_slot_hears_the_input_and_every_other_slot(options: dict[str, Any]) -> None:
    memory, x, old = make(**options), rows(1, W), rows(1, N, W)
    _, after = memory(x, RelationalState(old))
    changed = [memory(rows(1, W), RelationalState(old))[1].memory]
    for slot in range(N):
        other = old.clone()
        other[:, slot] += 0.5 * rows(W)
        changed.append(memory(x, RelationalState(other))[1].memory)
    assert all(((new - after.memory).abs().amax(-1) > 1e-6).all() for new in changed)


@every_form
def test_a_step_is_its_halves(options: dict[str, Any]) -> None:
    memory, x, state = make(**options), rows(B, W), RelationalState(rows(B, N, W))
    reads, whole = memory(x, state)
    nothing, written = memory.only_write(x, state)
    again, both = memory.only_read(x, written)
    assert nothing is None
    torch.testing.assert_close((again, both.memory), (reads, whole.memory), rtol=0, atol=0)
    assert list(memory.columns("only_write")) == list(range(W)) and not memory.columns("only_read")
    looked, same = memory.only_read(x, state)
    assert torch.equal(looked, state.memory.flatten(1)) and torch.equal(same.memory, state.memory)


@every_form
def test_gradient_reaches_every_parameter_and_every_slot(options: dict[str, Any]) -> None:
    memory = make(**options)
    x, old = rows(2, B, W).requires_grad_(), rows(B, N, W).requires_grad_()
    _, state = memory(x[0], RelationalState(old))
    reads, _ = memory(x[1], state)
    gradients = torch.autograd.grad((reads * rows(B, N * W)).sum(), [x, old, *memory.parameters()])
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)
    assert gradients[0].any(-1).all() and gradients[1].any(-1).all()


def test_recorder_sees_attention_and_gates() -> None:
    memory = make(attention_blocks=2)
    with tm.Recorder(memory) as recorder:
        memory(rows(B, W), memory.initial_state(B))
    for number in range(2):
        weights = recorder[f"attention_{number}"]
        assert weights.shape == (1, B, H, N + 1, N + 1)
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert recorder["input_gate"].shape == recorder["forget_gate"].shape == (1, B, N, W)


def test_layers_and_rounds_share_what_they_should() -> None:
    free, tied = make(attention_blocks=3, mlp_layers=2), make(**PORT, attention_blocks=3, mlp_layers=2)
    assert (len(free.attention), len(free.mlp)) == (3, 2), "rounds share the MLP, whose layers are their own"
    assert (len(tied.attention), len(tied.mlp)) == (1, 1)
    assert tied.forget_bias.shape == () and tied.forget_bias.requires_grad
    assert free.forget_bias == 1.0 and free.input_bias == 0.0


def test_weights_start_as_truncated_normals() -> None:
    memory = RelationalMemory(4, 256, heads=8)
    for name, parameter in memory.named_parameters():
        if "norm" in name:
            assert (parameter == (1 if name.endswith("weight") else 0)).all()
        elif parameter.dim() == 1:
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.88 / 16, rel=0.03) and parameter.abs().max() <= 2 / 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots must be an integer of at least 1, got 0"),
        ({"heads": 4}, "width must be a multiple of heads, got width=6 and heads=4"),
        ({"key_size": 0}, "key_size must be an integer of at least 1"),
        ({"attention_blocks": 0}, "attention_blocks must be an integer of at least 1"),
        ({"mlp_layers": 0}, "mlp_layers must be an integer of at least 1"),
        ({"gate_style": "units"}, "unknown gate_style 'units': did you mean 'unit'"),
        ({"norm": "jiont"}, "unknown norm 'jiont': did you mean 'joint'"),
        ({"mlp_output": "rleu"}, "unknown activation 'rleu': did you mean 'relu'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(**options)
