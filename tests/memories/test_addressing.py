"""The addressings of a history of slots, one number at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.core import OptionError
from torchmann.memories import Addressing, AutoAddressing, SlotHistory, SlotHistoryState, TardisAddressing
from torchmann.memories.addressing import unit

B, N, W, Q, D = 2, 5, 3, 4, 2


def tardis(**options: Any) -> TardisAddressing:
    return TardisAddressing(N, W, query_size=Q, key_size=D, dtype=torch.float64, **options)


def state_after(steps: int) -> SlotHistoryState:
    """Something stored, and one slot read at each of so many steps."""
    reads = torch.randint(N, (steps, B))
    hot = torch.nn.functional.one_hot(reads, N).double()
    memory = torch.randn(B, N, W).double()
    return SlotHistoryState(memory, hot[-1].unsqueeze(1), torch.full((B,), N), hot.sum(0))


def by_hand(addressing: TardisAddressing, query: Tensor, state: SlotHistoryState, row: int, slot: int) -> float:
    """``v . tanh(query + W_k key_i + W_m M_i + W_u u / |u|)``."""
    length = math.sqrt(sum(count.item() ** 2 for count in state.usage[row]))
    total = 0.0
    for unit_ in range(Q):
        inner = query[row, unit_].item()
        inner += sum((addressing.from_key.weight[unit_] * addressing.keys[slot]).tolist())
        inner += sum((addressing.from_memory.weight[unit_] * state.memory[row, slot]).tolist())
        inner += sum((addressing.from_usage.weight[unit_] * state.usage[row] / length).tolist())
        total += addressing.score.weight[0, unit_].item() * math.tanh(inner)
    return total


def test_auto_addressing_looks_at_the_address_alone() -> None:
    addressing, address = AutoAddressing(N), torch.randn(B, N)
    assert addressing.address_size == N and addressing.key_size == 0 and not addressing.counts_reads
    for steps in (1, 4):
        assert torch.equal(addressing.logits(address, state_after(steps)), address)


def test_tardis_logits_by_hand() -> None:
    addressing, query, state = tardis(), torch.randn(B, Q).double(), state_after(7)
    logits = addressing.logits(query, state)
    for row in range(B):
        for slot in range(N):
            expected = by_hand(addressing, query, state, row, slot) - 100 * state.read_weights[row, 0, slot].item()
            assert logits[row, slot].item() == pytest.approx(expected, abs=1e-12)


def test_penalty_falls_on_the_slot_read_last() -> None:
    query, state = torch.randn(B, Q).double(), state_after(3)
    harsh, mild, none = tardis(), tardis(penalty=2.0), tardis(penalty=0.0)
    for addressing in (mild, none):
        addressing.load_state_dict(harsh.state_dict())
    free = none.logits(query, state)
    torch.testing.assert_close(mild.logits(query, state), free - 2 * state.read_weights[:, 0])
    torch.testing.assert_close(harsh.logits(query, state), free - 100 * state.read_weights[:, 0])


def test_the_penalty_takes_no_gradient_unless_asked_to() -> None:
    """Straight through a sample, a hundredfold, it would drown all others."""
    query, state = torch.randn(B, Q).double(), state_after(3)
    read = state.read_weights.clone().requires_grad_()
    state = state._replace(read_weights=read)
    for through, expected in ((False, None), (True, -100.0)):
        logits = tardis(penalty_gradient=through).logits(query.requires_grad_(), state)
        (gradient,) = torch.autograd.grad(logits.sum(), read, allow_unused=True)
        assert gradient is None if expected is None else bool((gradient == expected).all())


@pytest.mark.parametrize("normalisation", ["l2", "layer_norm"])
def test_normalisation_over_the_slots_before_or_after_the_penalty(normalisation: Any) -> None:
    query, state = torch.randn(B, Q).double(), state_after(3)
    plain = tardis(penalty=0.0)
    made = {order: tardis(normalisation=normalisation, order=order) for order in ("normalise_first", "penalise_first")}
    for addressing in made.values():
        addressing.load_state_dict(plain.state_dict(), strict=False)
        if normalisation == "layer_norm":
            torch.nn.init.constant_(addressing.norm.weight, 1.5)
            torch.nn.init.constant_(addressing.norm.bias, 0.25)

    def normalised(logits: Tensor) -> Tensor:
        if normalisation == "l2":
            return logits / logits.norm(dim=-1, keepdim=True)
        centred = logits - logits.mean(-1, keepdim=True)
        return 1.5 * centred / (centred.square().mean(-1, keepdim=True) + 1e-3).sqrt() + 0.25

    logits, penalty = plain.logits(query, state), 100 * state.read_weights[:, 0]
    torch.testing.assert_close(made["normalise_first"].logits(query, state), normalised(logits) - penalty)
    torch.testing.assert_close(made["penalise_first"].logits(query, state), normalised(logits - penalty))


def test_dividing_by_the_length_after_the_penalty_leaves_the_other_slots_alike() -> None:
    """Why the released order handicaps: what is left of the other slots' differences is a hundredth."""
    state, query = state_after(2), torch.randn(B, Q).double()
    others = state.read_weights[0, 0] == 0
    spread = {}
    for order in ("normalise_first", "penalise_first"):
        logits = tardis(normalisation="l2", order=order).logits(query, state)[0][others]
        spread[order] = (logits.max() - logits.min()).item()
    assert spread["penalise_first"] < 0.1 < spread["normalise_first"]


def test_temperature_changes_soft_reads_but_no_choice() -> None:
    address, state = torch.randn(B, N), state_after(1)
    soft, hard = AutoAddressing(N, sampling="softmax"), AutoAddressing(N)
    noise = torch.randn(B, N)
    chosen = hard(address, state, noise)
    torch.testing.assert_close(soft(address, state, noise), address.softmax(-1), msg="soft reads have no noise")
    for addressing in (soft, hard):
        (name,) = addressing.annealed
        addressing.get_buffer(name).fill_(0.5)
    torch.testing.assert_close(soft(address, state), (2 * address).softmax(-1))
    assert torch.equal(hard(address, state, noise), chosen)


def test_temperature_is_a_stored_number_without_axes() -> None:
    addressing = AutoAddressing(N, temperature=2)
    assert addressing.temperature.shape == () and addressing.temperature.item() == 2.0
    assert addressing.temperature.is_floating_point() and "temperature" in addressing.state_dict()
    assert AutoAddressing(N, temperature=1 / 3, dtype=torch.float64).temperature.item() == 1 / 3


def test_weights_start_orthogonal() -> None:
    addressing = tardis()
    torch.testing.assert_close(addressing.keys.mT @ addressing.keys, torch.eye(D).double())
    torch.testing.assert_close(addressing.from_usage.weight @ addressing.from_usage.weight.mT, torch.eye(Q).double())


def test_unit_vector_of_zero_has_a_finite_gradient() -> None:
    vector = torch.zeros(2, 3, requires_grad=True)
    value = unit(vector)
    (gradient,) = torch.autograd.grad(value.sum(), vector)
    assert not value.any() and gradient.isfinite().all()
    torch.testing.assert_close(unit(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "gumble"}, "unknown sampling 'gumble': did you mean 'gumbel'"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"normalisation": "layernorm"}, "unknown normalisation 'layernorm': did you mean 'layer_norm'"),
        ({"order": "penalize_first"}, "unknown order 'penalize_first': did you mean 'penalise_first'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tardis(**options)


@pytest.mark.parametrize("name", ["query_size", "key_size"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} must be an integer of at least 1, got 0"):
        TardisAddressing(N, W, **({"query_size": Q, "key_size": D} | {name: 0}))


def test_an_addressing_must_define_its_logits() -> None:
    class Unfinished(Addressing):
        address_size = 1

    memory = SlotHistory(2, 1, addressing=Unfinished(2, "gumbel", 1.0, device=None, dtype=None))
    with pytest.raises(TypeError, match="Unfinished must define logits"):
        memory(torch.zeros(1, 2), memory.initial_state(1))
