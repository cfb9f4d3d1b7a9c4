"""A history of slots, against one kept in Python lists."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.core import OptionError, draw_noise
from torchmann.memories import (
    AutoAddressing,
    Distributed,
    SlotHistory,
    SlotHistoryNoise,
    SlotHistoryState,
    TardisAddressing,
)

B, N, W = 3, 4, 2


def history(**options: Any) -> SlotHistory:
    return SlotHistory(N, W, dtype=torch.float64, **options)


def with_keys(**options: Any) -> SlotHistory:
    addressing = TardisAddressing(N, W, query_size=3, key_size=2, dtype=torch.float64)
    return SlotHistory(N, W, addressing=addressing, dtype=torch.float64, **options)


def interfaces(memory: SlotHistory, steps: int) -> Tensor:
    return torch.randn(steps, B, memory.interface_size).double()


def test_reads_and_writes_as_a_list_does() -> None:
    memory, steps = history(), 9
    state, sequence = memory.initial_state(B), interfaces(memory, 9)
    noise = draw_noise(memory.noise_spec(B), steps, generator=None, like=sequence)
    slots = [[[0.0] * W for _ in range(N)] for _ in range(B)]
    for t in range(steps):
        address, entry = sequence[t].split([N, W], dim=-1)
        reads, state = memory(sequence[t], state, SlotHistoryNoise(noise.address[t]))
        for row in range(B):
            slot = int((address[row] + noise.address[t, row]).argmax())
            assert reads[row].tolist() == slots[row][slot]
            assert state.read_weights[row, 0].tolist() == [float(number == slot) for number in range(N)]
            slots[row][t if t < N else slot] = entry[row].tolist()
            assert state.memory[row].tolist() == slots[row]
            assert state.filled[row].item() == min(t + 1, N)


def test_halves_are_the_step() -> None:
    for memory in (history(), with_keys()):
        whole = halves = memory.initial_state(B)
        for interface in interfaces(memory, 7):
            reads, whole = memory(interface, whole)
            half_reads, halves = memory.only_read(interface, halves)
            nothing, halves = memory.only_write(interface, halves)
            assert nothing is None and torch.equal(reads, half_reads)
            for name, leaf in whole.flatten().items():
                assert torch.equal(leaf, halves.flatten()[name]), name


def test_each_half_looks_at_its_columns_alone() -> None:
    for memory in (history(), with_keys()):
        _, state = memory(interfaces(memory, 1)[0], memory.initial_state(B))
        interface = interfaces(memory, 1)[0]
        assert sorted([*memory.columns("only_read"), *memory.columns("only_write")]) == list(range(interface.shape[1]))
        blind = interface.clone()
        blind[:, list(memory.columns("only_write"))] = torch.nan
        assert torch.equal(memory.only_read(interface, state)[0], memory.only_read(blind, state)[0])
        blind = interface.clone()
        blind[:, list(memory.columns("only_read"))] = torch.nan
        assert torch.equal(memory.only_write(interface, state)[1].memory, memory.only_write(blind, state)[1].memory)


def test_a_write_without_a_new_read_replaces_what_was_read_last() -> None:
    memory = history()
    state = memory.initial_state(B)
    for interface in interfaces(memory, N):
        _, state = memory(interface, state)
    _, state = memory.only_read(interfaces(memory, 1)[0], state)
    before, read = state.memory, state.read_weights.squeeze(1).bool()
    for interface in interfaces(memory, 2):
        _, state = memory.only_write(interface, state)
        entry = interface[:, N:].unsqueeze(1)
        torch.testing.assert_close(state.memory, torch.where(read.unsqueeze(-1), entry, before))


def test_soft_reads_overwrite_softly() -> None:
    memory = history(addressing=AutoAddressing(N, sampling="softmax", dtype=torch.float64))
    assert memory.noise_spec(B) is None
    state = memory.initial_state(B)
    for t, interface in enumerate(interfaces(memory, 7)):
        before, weights = state.memory, interface[:, :N].softmax(-1)
        reads, state = memory(interface, state)
        torch.testing.assert_close(reads, (weights.unsqueeze(-1) * before).sum(1))
        if t >= N:
            kept = 1 - weights.unsqueeze(-1)
            expected = kept * before + weights.unsqueeze(-1) * interface[:, N:].unsqueeze(1)
            torch.testing.assert_close(state.memory, expected)


@pytest.mark.parametrize("sampling", ["gumbel", "softmax"])
def test_no_gradient_goes_through_the_write_weighting(sampling: Any) -> None:
    memory = history(addressing=AutoAddressing(N, sampling=sampling, dtype=torch.float64))
    full = SlotHistoryState(torch.randn(B, N, W).double(), torch.zeros(B, 1, N).double(), torch.full((B,), N), ())
    interface = interfaces(memory, 1)[0].requires_grad_()
    reads, state = memory(interface, full)
    (through_memory,) = torch.autograd.grad(state.memory.square().sum(), interface, retain_graph=True)
    assert not through_memory[:, :N].any() and through_memory[:, N:].any()
    (through_reads,) = torch.autograd.grad(reads.square().sum(), interface)
    assert through_reads[:, :N].any() and not through_reads[:, N:].any()


def test_gradient_reaches_what_was_written_until_it_is_overwritten() -> None:
    memory, steps = history(), N + 3
    sequence = interfaces(memory, steps).requires_grad_()
    state, choices = memory.initial_state(B), []
    for interface in sequence:
        _, state = memory(interface, state)
        choices.append(state.read_weights.squeeze(1).argmax(-1))
    (gradient,) = torch.autograd.grad(state.memory.sum(), sequence)
    for row in range(B):
        written = [t if t < N else int(choices[t][row]) for t in range(steps)]
        for t in range(steps):
            lasting = written[t] not in written[t + 1 :]
            assert gradient[t, row, N:].tolist() == [float(lasting)] * W


def test_usage_is_kept_only_where_the_addressing_counts() -> None:
    assert history().initial_state(B).usage == ()
    memory = with_keys()
    state, total = memory.initial_state(B), torch.zeros(B, N).double()
    for interface in interfaces(memory, 6):
        _, state = memory(interface, state)
        total = total + state.read_weights.squeeze(1)
        torch.testing.assert_close(state.usage, total)


def test_reads_with_keys() -> None:
    memory = with_keys(read_keys=True)
    assert memory.read_size == 2 + W and memory.initial_reads(B).shape == (B, 2 + W)
    state = memory.initial_state(B)
    for interface in interfaces(memory, 6):
        before = state.memory
        reads, state = memory(interface, state)
        slot = state.read_weights.squeeze(1).argmax(-1)
        torch.testing.assert_close(reads, torch.cat([memory.addressing.keys[slot], before[range(B), slot]], dim=-1))
    with pytest.raises(OptionError, match="read_keys needs slots with keys; AutoAddressing has none"):
        history(read_keys=True)


@pytest.mark.parametrize(("kind", "trained"), [("constant", 0), ("learned", 1), ("random", 0)])
def test_where_the_memory_starts(kind: Any, trained: int) -> None:
    memory = history(initial_memory=kind)
    assert len(list(memory.parameters())) == trained
    assert memory.initial_state(B).memory.any() == (kind == "random")


def test_distributed_histories_draw_noise_of_their_own() -> None:
    members = [with_keys() for _ in range(3)]
    blocks = iter(copy.deepcopy(members))
    memory = Distributed(lambda: next(blocks), 3)
    assert memory.noise_spec(B).address.shape == (B, 3, N)
    state, sequence = memory.initial_state(B), torch.randn(6, B, memory.interface_size).double()
    noise = draw_noise(memory.noise_spec(B), 6, generator=None, like=sequence)
    states, size = [member.initial_state(B) for member in members], members[0].interface_size
    for t in range(6):
        reads, state = memory(sequence[t], state, SlotHistoryNoise(noise.address[t]))
        gate = sequence[t][:, 3 * size :].softmax(-1)
        expected = torch.zeros(B, W).double()
        for k, member in enumerate(members):
            drawn = SlotHistoryNoise(noise.address[t, :, k])
            mine, states[k] = member(sequence[t][:, k * size : (k + 1) * size], states[k], drawn)
            expected = expected + gate[:, k : k + 1] * mine
            assert torch.equal(state.blocks.read_weights[:, k], states[k].read_weights)
        torch.testing.assert_close(reads, expected)


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match="addressing is made for 3 slots, but slots is 4"):
        SlotHistory(4, 2, addressing=AutoAddressing(3))
    with pytest.raises(OptionError, match="width must be an integer of at least 1, got 0"):
        SlotHistory(4, 0)
