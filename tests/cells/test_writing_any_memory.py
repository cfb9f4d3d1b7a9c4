"""Writing policies do to every memory what they do to the DNC's: nothing in them knows which memory it is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import GRUCell, LSTMCell, Normalised
from torchmann.core import Controller, OptionError
from torchmann.memories import (
    CachedUniform,
    DenseFrom,
    Distributed,
    DNCMemory,
    EveryStep,
    Memory,
    NTMMemory,
    RandomSteps,
    SlotHistory,
    StructuredNTMMemory,
    TardisAddressing,
    Uniform,
    WritingPolicy,
    optimal_interval,
)

T, B, INPUT, H = 7, 3, 4, 5
MEMORIES: dict[str, Any] = {
    "dnc": lambda: DNCMemory(6, 3, reads=2),
    "dma": lambda: DNCMemory(6, 3, links=False, allocation="softmax"),
    "ntm": lambda: NTMMemory(6, 3, reads=2, writes=2, order="interleaved"),
    "ntm1": lambda: StructuredNTMMemory(6, 3, written="first"),
    "ntm2": lambda: StructuredNTMMemory(6, 3, levels=3),
    "dam": lambda: Distributed(lambda: DNCMemory(6, 3, links=False), 2),
    "dam-gated-retention": lambda: Distributed(lambda: DNCMemory(6, 3, reads=2), 3, gated_retention=True),
    "distributed-ntm": lambda: Distributed(lambda: NTMMemory(6, 3), 2),
    "slots": lambda: SlotHistory(3, 3),
    "slots-tardis": lambda: SlotHistory(3, 3, addressing=TardisAddressing(3, 3, query_size=2, key_size=2)),
    "distributed-slots": lambda: Distributed(lambda: SlotHistory(3, 3), 2),
}
every_memory = pytest.mark.parametrize("name", MEMORIES)
POLICIES: list[WritingPolicy] = [
    EveryStep(),
    Uniform(2),
    Uniform(3, positions="released", hold="write"),
    Uniform(2, hold="read"),
    CachedUniform(3, attention_size=2),
    RandomSteps(0.5, seed=3, hold="write"),
    DenseFrom(RandomSteps(0.3, hold="read"), 4),
    DenseFrom(CachedUniform(2), 5),
]


def model_with(name: str, writing: WritingPolicy | None = None, make: Any = LSTMCell) -> tm.Recurrent:
    memory: Memory = MEMORIES[name]()
    controller: Controller = make(INPUT + memory.read_size, H)
    return tm.Recurrent(tm.MemoryAugmentedCell(controller, memory, writing=writing, output_size=2)).eval()


def rewritten(model: tm.Recurrent, writing: WritingPolicy) -> tm.Recurrent:
    """The same model with another policy; it has parameters of its own only where the policy has."""
    other = copy.deepcopy(model)
    other.cell.writing = writing
    return other


def inputs(steps: int = T) -> Tensor:
    return torch.randn(steps, B, INPUT)


def contents(recorder: tm.Recorder) -> Tensor:
    """What is stored, after each step."""
    names = [name for name in recorder.names() if name.startswith("cell.state.memory.") and name.endswith(".memory")]
    (name,) = names
    return recorder[name]


@every_memory
def test_interval_one_is_dense(name: str) -> None:
    dense, x = model_with(name), inputs()
    uniform = rewritten(dense, Uniform(1))
    torch.testing.assert_close(uniform(x)[0], dense(x)[0])
    cached = model_with(name, CachedUniform(1))
    cached.load_state_dict(dense.state_dict(), strict=False)
    output, state = cached(x)
    expected, expected_state = dense(x)
    torch.testing.assert_close(output, expected)
    for part in ("controller", "memory"):
        torch.testing.assert_close(getattr(state, part).flatten(), getattr(expected_state, part).flatten())


@every_memory
def test_without_a_write_step_it_is_a_controller_whose_reads_stay(name: str) -> None:
    model, x = model_with(name, Uniform(T + 1)), inputs()
    cell = model.cell
    reads = cell.memory.initial_reads(B)
    alone = tm.Recurrent(LSTMCell(INPUT + reads.shape[1], H))
    alone.cell.load_state_dict(cell.controller.state_dict())
    hidden, _ = alone(torch.cat([x, reads.expand(T, *reads.shape)], dim=-1))
    output, state = model(x)
    torch.testing.assert_close(output, torch.stack([cell.readout(h, reads) for h in hidden]))
    torch.testing.assert_close(state.memory.flatten(), cell.memory.initial_state(B).flatten())


@every_memory
@pytest.mark.parametrize(("hold", "moving"), [("both", set()), ("write", {"reads"}), ("read", {"contents"})])
def test_what_moves_at_a_held_step(name: str, hold: Any, moving: set[str]) -> None:
    model = model_with(name, Uniform(3, hold=hold))
    _, state = model(inputs(), schedule=EveryStep())  # something to read
    with tm.Recorder(model) as recorder:
        model(inputs(), state)
    for what, values in (("contents", contents(recorder)), ("reads", recorder["state.reads"])):
        for t in range(1, T):
            held = (t + 1) % 3 != 0
            changed = not torch.equal(values[t], values[t - 1])
            assert changed == (not held or what in moving), (what, t)


@every_memory
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_chunks_with_start_are_the_whole(name: str, policy: WritingPolicy) -> None:
    model, x = model_with(name, policy), inputs()
    whole, last = model(x)
    for cut in range(1, T):
        first, state = model(x[:cut])
        second, state = model(x[cut:], state, start=cut)
        torch.testing.assert_close(torch.cat([first, second]), whole)
        torch.testing.assert_close(state.flatten(), last.flatten())


@pytest.mark.parametrize("make", [LSTMCell, GRUCell, lambda *sizes: Normalised(LSTMCell(*sizes))])
@pytest.mark.parametrize(("symbols", "interval"), [(50, 10), (100, 20)])
def test_the_encoder_uses_the_memory_five_times(symbols: int, interval: int, make: Any) -> None:
    """Four slots, a sequence and its terminator; work on the memory that is skipped is really skipped."""
    assert interval == optimal_interval(symbols + 1, slots=4)
    model = model_with("dnc", Uniform(interval, positions="released"), make)
    used: list[int] = []
    model.cell.memory.register_forward_hook(lambda *_: used.append(1))
    model(inputs(symbols + 1))
    assert len(used) == 5
    model(inputs(3), schedule=EveryStep())  # and the decoder each time
    assert len(used) == 5 + 3


def test_random_positions_are_the_same_in_every_call() -> None:
    """They hang on seed and step, not on the state of a generator: a run has one set of positions."""
    model, x = model_with("ntm", RandomSteps(0.5, seed=5)), inputs()
    first, _ = model(x)
    torch.manual_seed(17)
    torch.testing.assert_close(model(x)[0], first, rtol=0, atol=0)
    assert not torch.allclose(rewritten(model, RandomSteps(0.5, seed=6))(x)[0], first)


class Whole(Memory):
    """A memory whose step has no halves, and which has no tensor of its own."""

    interface_size = read_size = 3

    def initial_state(self, batch_size: int) -> Any:
        return tm.cells.GRUState(torch.zeros(batch_size, 3))

    def forward(self, interface_BS: Tensor, state: Any, noise: None = None) -> tuple[Tensor, Any]:
        return state.h, state._replace(h=interface_BS.tanh())


@pytest.mark.parametrize("make", [Whole, lambda: Distributed(Whole, 2)], ids=["alone", "distributed"])
@pytest.mark.parametrize(("hold", "half"), [("write", "only_read"), ("read", "only_write")])
def test_half_a_step_of_a_memory_without_halves_is_refused_at_once(make: Any, hold: Any, half: str) -> None:
    def build(writing: WritingPolicy) -> tm.MemoryAugmentedCell:
        return tm.MemoryAugmentedCell(LSTMCell(INPUT + 3, H), make(), writing=writing)

    for policy in (Uniform(2, hold=hold), RandomSteps(0.5, hold=hold), DenseFrom(Uniform(2, hold=hold), 3)):
        with pytest.raises(OptionError, match=f"has no {half}, which 'hold_{hold}' needs: use hold='both'"):
            build(policy)
    output, _ = tm.Recurrent(build(Uniform(2)))(inputs())
    assert output.shape == (T, B, H)
