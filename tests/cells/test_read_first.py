"""A memory read before the controller's step and written after it: order, halves, kinds of steps, any memory."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import (
    ARMINCell,
    FeedForwardCell,
    GRUCell,
    HalfInterface,
    LinearReadout,
    LSTMCell,
    ReadFirstCell,
    TARDISCell,
    Zoneout,
)
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
    RelationalMemory,
    SlotHistory,
    TardisAddressing,
    Uniform,
    WritingPolicy,
)

T, B, X, H, N, W = 7, 3, 4, 5, 3, 2


def tardis_history() -> SlotHistory:
    return SlotHistory(N, W, addressing=TardisAddressing(N, W, query_size=2, key_size=2))


MEMORIES: dict[str, Any] = {
    "auto": lambda: SlotHistory(N, W),
    "tardis": tardis_history,
    "distributed": lambda: Distributed(tardis_history, 2),
    "dnc": lambda: DNCMemory(N, W, reads=2),
    "dam": lambda: Distributed(lambda: DNCMemory(N, W, links=False), 2, gated_retention=True),
    "ntm": lambda: NTMMemory(N, W, reads=2, writes=2),
}
CONTROLLERS: dict[str, Any] = {
    "lstm": lambda size, _: LSTMCell(size, H),
    "gru": lambda size, _: GRUCell(size, H),
    "armin": lambda size, reads: ARMINCell(size, H, read_size=reads),
    "tardis": lambda size, reads: TARDISCell(size, H, read_size=reads),
    "stacked": lambda size, reads: tm.Stacked([ARMINCell(size, H, read_size=reads), GRUCell(H + reads, 6)]),
    "zoneout": lambda size, _: Zoneout(LSTMCell(size, H), 0.8),
    "feedforward": lambda size, _: FeedForwardCell(size, H),
}
POLICIES: list[WritingPolicy] = [
    EveryStep(),
    Uniform(2),
    Uniform(3, hold="write"),
    Uniform(2, hold="read"),
    CachedUniform(3, attention_size=2),
    RandomSteps(0.5, seed=3, hold="write"),
    DenseFrom(RandomSteps(0.3, hold="read"), 4),
]
every_memory = pytest.mark.parametrize("name", MEMORIES)


def model_with(name: str, controller: str = "lstm", **options: Any) -> tm.Recurrent:
    memory: Memory = MEMORIES[name]()
    driver: Controller = CONTROLLERS[controller](X + memory.read_size, memory.read_size)
    return tm.Recurrent(ReadFirstCell(driver, memory, output_size=2, **options)).eval()


def inputs(steps: int = T) -> Tensor:
    return torch.randn(steps, B, X)


@every_memory
def test_a_step_reads_then_controls_then_writes(name: str) -> None:
    cell = model_with(name).cell
    state = cell.initial_state(B)
    for x in inputs():
        address = cell.address({"x": x, **cell.controller.features(state.controller)})
        reads, memory = cell.memory.only_read(address, state.memory)
        h, controller = cell.controller(torch.cat([x, reads], -1), state.controller)
        _, memory = cell.memory.only_write(cell.entry({"h": controller.h}), memory)
        output, state = cell(x, state)
        expected = (cell.readout(h, reads), controller, memory, reads)
        torch.testing.assert_close((output, *state[:3]), expected, rtol=0, atol=0)


def test_armin_by_hand() -> None:
    """The first steps of ARMIN in plain numbers: what is read is what was stored so many steps ago."""
    controller = ARMINCell(X + H, H, read_size=H)
    cell = ReadFirstCell(controller, SlotHistory(N, H))
    assert isinstance(cell.entry.linear, torch.nn.Identity), "as wide as a slot, so h itself is stored"
    state, stored = cell.initial_state(B), torch.zeros(B, N, H)
    for t, x in enumerate(inputs()):
        h = state.controller.h
        logits = torch.cat([x, h], -1) @ cell.address.linear.weight.T + cell.address.linear.bias
        slot = logits.argmax(-1)
        read = stored[range(B), slot]
        _, new = controller(torch.cat([x, read], -1), state.controller)
        stored = stored.clone()
        stored[range(B), torch.full((B,), t) if t < N else slot] = new.h
        _, state = cell(x, state)
        torch.testing.assert_close(state.reads, read)
        torch.testing.assert_close(state.memory.memory, stored)


@every_memory
def test_each_half_interface_fills_its_columns_alone(name: str) -> None:
    cell = model_with(name).cell
    features = {"x": torch.randn(B, X), "h": torch.randn(B, H)}
    for interface, half in ((cell.address, "only_read"), (cell.entry, "only_write")):
        filled = interface(features)
        mine = list(cell.memory.columns(half))
        assert filled.shape == (B, cell.memory.interface_size)
        seen = torch.cat([features[source] for source in interface.sources], -1)
        torch.testing.assert_close(filled[:, mine], interface.linear(seen))
        others = sorted(set(range(filled.shape[1])) - set(mine))
        assert others and not filled[:, others].any()


@every_memory
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_chunks_are_the_whole_under_every_policy(name: str, policy: WritingPolicy) -> None:
    model, x = model_with(name, writing=policy), inputs()
    output, state = model(x)
    first, carried = model(x[:3])
    second, last = model(x[3:], carried, start=3)
    torch.testing.assert_close((torch.cat([first, second]), last), (output, state))


@every_memory
def test_held_steps_leave_what_they_hold(name: str) -> None:
    cell, x = model_with(name).cell, inputs()
    _, state = tm.Recurrent(cell)(x)
    _, held = cell.step_of_kind("hold")(x[0], state)
    assert held.memory is state.memory and held.reads is state.reads
    assert not torch.equal(held.controller.h, state.controller.h)
    contents = {half: state_of(cell.step_of_kind(half)(x[0], state)[1]) for half in ("hold_write", "hold_read")}
    before, dense = state_of(state), state_of(cell(x[0], state)[1])
    assert torch.equal(contents["hold_write"]["memory"], before["memory"])
    assert not torch.equal(contents["hold_read"]["memory"], before["memory"])
    assert torch.equal(contents["hold_read"]["read_weights"], before["read_weights"])
    assert torch.equal(contents["hold_write"]["read_weights"], dense["read_weights"])
    _, reading = cell.step_of_kind("hold_write")(x[0], state)
    _, writing = cell.step_of_kind("hold_read")(x[0], state)
    assert torch.equal(reading.reads, cell(x[0], state)[1].reads) and writing.reads is state.reads


def state_of(state: Any) -> dict[str, Tensor]:
    """The memory's leaves by their last names."""
    return {name.split(".")[-1]: leaf for name, leaf in state.memory.flatten().items()}


@every_memory
def test_interval_one_is_dense_and_first_comes_the_controller_alone(name: str) -> None:
    dense, x = model_with(name), inputs()
    always = copy.deepcopy(dense)
    always.cell.writing = Uniform(1)
    torch.testing.assert_close(always(x), dense(x))
    rare = copy.deepcopy(dense)
    rare.cell.writing = Uniform(T + 1)
    _, state = rare(x)
    torch.testing.assert_close(state.memory, rare.cell.memory.initial_state(B))


def test_cached_writing_addresses_by_the_mixture() -> None:
    """At a cached step the last hidden vector is replaced before anything is read by it."""
    model, x = model_with("auto", writing=CachedUniform(2, attention_size=3)), inputs(2)
    cell = model.cell
    _, before = model(x[:1])
    hidden = before.controller.h
    cache = cell.attention.append(before.cache, hidden)
    mixed = cell.attention(cache, hidden, before.reads)
    _, expected = cell(x[1], before._replace(controller=before.controller._replace(h=mixed)))
    _, after = model(x[1:], before, start=1)
    assert not torch.allclose(mixed, hidden)
    torch.testing.assert_close(after.controller, expected.controller)


def test_a_feedforward_controller_can_be_cached_since_the_address_looks_back() -> None:
    model = model_with("auto", "feedforward", writing="cached:2")
    model(inputs())[0].sum().backward()
    with pytest.raises(OptionError, match="does not look at"):
        tm.MemoryAugmentedCell(FeedForwardCell(X + W, H), SlotHistory(N, W), writing="cached:2")


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("name", ["auto", "tardis", "distributed"])
def test_any_controller_learns(name: str, controller: str) -> None:
    model = model_with(name, controller).train()
    output, _ = model(inputs(), generator=torch.Generator().manual_seed(0))
    output.square().sum().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), path


@every_memory
def test_everything_is_recorded_once_a_step(name: str) -> None:
    model = model_with(name)
    with tm.Recorder(model) as recorder:
        model(inputs())
    names = recorder.names()
    assert any(path.endswith("read_weights") for path in names if ".state." not in path)
    assert {recorder[path].shape[:2] for path in names} == {(T, B)}


def test_without_feedback_the_controller_never_sees_the_reads() -> None:
    memory = SlotHistory(N, W, initial_memory="learned")
    model = tm.Recurrent(ReadFirstCell(LSTMCell(X, H), memory, feedback=False))
    assert model.input_size == X
    x = inputs()
    controller = model(x)[1].controller
    torch.nn.init.ones_(memory.initial_memory.weight)
    output, state = model(x)
    torch.testing.assert_close(state.controller, controller)
    assert output.shape == (T, B, H)


def test_bypass_dropout_drops_outputs_of_the_controller() -> None:
    cell = ReadFirstCell(LSTMCell(X + W, H), SlotHistory(N, W), bypass_dropout=0.5)
    spec = cell.noise_spec(B)
    assert spec.kept.shape == (B, H) and spec.kept.probability == 0.5 and spec.memory.address.shape == (B, N)
    x, state = inputs(1)[0], cell.initial_state(B)
    output, after = cell(x, state, type(spec)(kept=torch.zeros(B, H)))
    torch.testing.assert_close(output, cell.readout(torch.zeros(B, H), after.reads))


def test_sources_of_address_and_entry() -> None:
    memory, controller = SlotHistory(N, W), LSTMCell(X + W, H)
    sizes = {"x": X, "output": H, **controller.feature_sizes}
    address = HalfInterface("only_read", memory, sizes, ["x", "c"])
    entry = HalfInterface("only_write", memory, sizes, ["x", "output"])
    readout = LinearReadout(H, 0, 2)
    cell = ReadFirstCell(controller, memory, address=address, entry=entry, readout=readout)
    x, state = inputs(1)[0], cell.initial_state(B)
    output, after = cell(x, state)
    torch.testing.assert_close(output, readout.linear(after.controller.h))
    stored = torch.cat([x, after.controller.h], -1) @ entry.linear.weight.T + entry.linear.bias
    torch.testing.assert_close(after.memory.memory[:, 0], stored)
    seen = torch.cat([x, state.controller.c], -1) @ address.linear.weight.T + address.linear.bias
    assert torch.equal(after.memory.read_weights[:, 0].argmax(-1), seen.argmax(-1))
    with pytest.raises(OptionError, match=r"unknown source of the interface 'y'.*Known: c, h, output, x"):
        HalfInterface("only_read", memory, sizes, ["y"])
    with pytest.raises(OptionError, match=r"\['h'\] are 5 numbers, but only_write takes 2: use mapped=True"):
        HalfInterface("only_write", memory, sizes, ["h"], mapped=False)


def test_a_half_that_takes_nothing_has_no_map() -> None:
    """All of a relational memory is read, whatever the controller wants."""
    memory = RelationalMemory(N, W, heads=1)
    cell = ReadFirstCell(LSTMCell(X + memory.read_size, H), memory)
    assert not memory.columns("only_read") and not list(cell.address.parameters())
    x, state = inputs(1)[0], cell.initial_state(B)
    assert not cell.address({"x": x, "h": state.controller.h}).any()
    _, after = cell(x, state)
    torch.testing.assert_close(after.reads, state.memory.memory.flatten(1))
    assert not torch.equal(after.memory.memory, state.memory.memory)


class Whole(Memory):
    """A memory whose step has no halves."""

    interface_size = read_size = 2

    def initial_state(self, batch_size: int) -> Any:
        return tm.cells.GRUState(torch.zeros(batch_size, 2))

    def forward(self, interface_BS: Tensor, state: Any, noise: None = None) -> tuple[Tensor, Any]:
        return state.h, state._replace(h=interface_BS.tanh())


def test_a_memory_without_halves_is_refused() -> None:
    for memory in (Whole(), Distributed(Whole, 2)):
        with pytest.raises(OptionError, match=r"has no halves, so it cannot be read first.*use a MemoryAugmentedCell"):
            ReadFirstCell(LSTMCell(X + 2, H), memory)
