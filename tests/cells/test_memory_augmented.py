"""The composition: what goes where between controller, interface, memory and readout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import GRUCell, LinearInterface, LinearReadout, LSTMCell, MemoryAugmentedCell, Readout
from torchmann.core import OptionError
from torchmann.memories import DNCMemory, Uniform

B, INPUT, H, READ = 2, 3, 5, 4


def build(**options) -> MemoryAugmentedCell:
    feedback = options.get("feedback", True)
    return MemoryAugmentedCell(LSTMCell(INPUT + READ * feedback, H), DNCMemory(6, READ), **options)


def random_state(cell: MemoryAugmentedCell):
    _, state = tm.Recurrent(cell)(torch.randn(3, B, INPUT))
    return state.detach()


def test_step_by_hand() -> None:
    cell, x = build(output_size=2), torch.randn(B, INPUT)
    state = random_state(cell)
    h, controller = cell.controller(torch.cat([x, state.reads], -1), state.controller)
    reads, memory = cell.memory(cell.interface.linear(h), state.memory)
    expected = cell.readout.linear(torch.cat([h, reads], -1))
    output, after = cell(x, state)
    torch.testing.assert_close((output, after.reads), (expected, reads))
    torch.testing.assert_close(after.controller.flatten(), controller.flatten())
    torch.testing.assert_close(after.memory.flatten(), memory.flatten())


def test_hold_runs_the_controller_alone() -> None:
    cell, x = build(writing=Uniform(3)), torch.randn(B, INPUT)
    state = random_state(cell)
    h, controller = cell.controller(torch.cat([x, state.reads], -1), state.controller)
    output, after = cell.step_of_kind("hold")(x, state)
    assert after.memory is state.memory and after.reads is state.reads
    torch.testing.assert_close(after.controller.flatten(), controller.flatten())
    torch.testing.assert_close(output, cell.readout(h, state.reads))
    assert cell.schedule(3) == ["hold", "hold", "dense"]
    with pytest.raises(OptionError, match="unknown step kind 'holds': did you mean 'hold'"):
        cell.step_of_kind("holds")


def test_sizes_follow_the_parts() -> None:
    cell = build(output_size=7)
    assert (cell.input_size, cell.output_size) == (INPUT, 7)
    assert build().output_size == H, "as nn.LSTM"
    assert build(feedback=False).input_size == INPUT


@pytest.mark.parametrize("source", ["output", "h", "c"])
def test_interface_takes_its_source(source: str) -> None:
    controller, memory = LSTMCell(INPUT + READ, H), DNCMemory(6, READ)
    interface = LinearInterface(controller, memory, source=source)
    features = {name: torch.randn(B, H) for name in ("output", "h", "c")}
    torch.testing.assert_close(interface(features), interface.linear(features[source]))
    cell = MemoryAugmentedCell(controller, memory, interface=interface)
    seen = []
    interface.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    output, state = cell(torch.randn(B, INPUT), cell.initial_state(B))
    assert torch.equal(seen[0]["h"], state.controller.h) and torch.equal(seen[0]["c"], state.controller.c)


def test_unknown_source_suggests_the_nearest() -> None:
    stacked = tm.Stacked([GRUCell(INPUT, H), LSTMCell(H, H)])
    with pytest.raises(OptionError, match="unknown source of the interface 'ouput': did you mean 'output'"):
        LinearInterface(stacked, DNCMemory(6, READ), source="ouput")
    with pytest.raises(OptionError, match=r"unknown source of the interface '0\.c'.*Known: 0\.h, 1\.c, 1\.h, c, h"):
        LinearInterface(stacked, DNCMemory(6, READ), source="0.c")


def test_clips_limit_the_interface_and_the_output() -> None:
    controller, memory = LSTMCell(INPUT + READ, H), DNCMemory(6, READ)
    features, reads = {"output": 100 * torch.randn(B, H)}, torch.randn(B, READ)
    assert LinearInterface(controller, memory, clip=0.5)(features).abs().max() == 0.5
    assert LinearReadout(H, READ, 2, clip=0.5)(features["output"], reads).abs().max() == 0.5
    assert LinearReadout(H, READ, 2)(features["output"], reads).abs().max() > 0.5


class Sum(Readout):
    """A readout of one's own."""

    output_size = 1

    def forward(self, hidden: Tensor, reads: Tensor) -> Tensor:
        return (hidden.sum(-1) + reads.sum(-1)).unsqueeze(-1)


def test_readout_of_ones_own() -> None:
    cell = build(readout=Sum())
    assert cell.output_size == 1
    output, state = cell(torch.randn(B, INPUT), cell.initial_state(B))
    torch.testing.assert_close(output[:, 0], state.controller.h.sum(-1) + state.reads.sum(-1))
    with pytest.raises(OptionError, match="output_size is 3, but readout gives 1"):
        build(readout=Sum(), output_size=3)


def test_noise_and_penalties_are_the_controllers() -> None:
    controller = tm.Stacked([LSTMCell(INPUT + READ, H), LSTMCell(H, H)], dropout=0.5)
    cell = MemoryAugmentedCell(controller, DNCMemory(6, READ))
    assert cell.penalties(cell.initial_state(B)) == {}
    model, x = tm.Recurrent(cell), torch.randn(4, B, INPUT)
    first, second = (model(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (0, 1))
    assert not torch.allclose(first, second)
    assert torch.equal(model.eval()(x)[0], model(x)[0])


def test_first_reads_are_the_memorys() -> None:
    memory = DNCMemory(6, READ, initial_value=0.25)
    cell = MemoryAugmentedCell(LSTMCell(INPUT + READ, H), memory)
    assert (cell.initial_state(B).reads == 0.25).all()


def test_memory_stays_in_full_precision_under_autocast() -> None:
    cell, x = build(), torch.randn(B, INPUT)
    dtypes = []
    cell.memory.register_forward_pre_hook(lambda _, arguments: dtypes.append(arguments[0].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = cell(x, cell.initial_state(B))
        dtypes.append(torch.mm(x, x.T).dtype)
    assert dtypes == [torch.float32, torch.bfloat16] and state.memory.memory.dtype == torch.float32
