"""Distributed memory: K memories run as one, against K memories run one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import LinearInterface, LinearReadout, LSTMCell, MemoryAugmentedCell, Normalised
from torchmann.core import OptionError, map_leaves
from torchmann.memories import (
    Distributed,
    DNCMemory,
    Memory,
    NTMMemory,
    RelationalMemory,
    SlotHistory,
    StructuredNTMMemory,
    TardisAddressing,
)

B = 3
BLOCKS: dict[str, Callable[[], Memory]] = {
    "dnc": lambda: DNCMemory(5, 4, reads=2, dtype=torch.float64),
    "dnc-content": lambda: DNCMemory(5, 4, links=False, writes=2, allocation="softmax", dtype=torch.float64),
    "ntm": lambda: NTMMemory(5, 4, reads=2, writes=2, order="interleaved", dtype=torch.float64),
    "ntm-random": lambda: NTMMemory(5, 4, initial_memory="random", initial_reads="tanh", dtype=torch.float64),
    "ntm1": lambda: StructuredNTMMemory(5, 4, written="first", dtype=torch.float64),
    "ntm2": lambda: StructuredNTMMemory(5, 4, levels=3, trained=False, dtype=torch.float64),
    "relational": lambda: RelationalMemory(5, 6, heads=2, attention_blocks=2, dtype=torch.float64),
    "relational-port": lambda: RelationalMemory(
        5, 6, heads=2, norm="joint", tied_mlp=True, mlp_output="relu", trained_gate_biases=True, dtype=torch.float64
    ),
    "slots": lambda: SlotHistory(5, 4, dtype=torch.float64),
    "slots-tardis": lambda: SlotHistory(
        5, 4, addressing=TardisAddressing(5, 4, query_size=3, key_size=2, dtype=torch.float64), dtype=torch.float64
    ),
    "distributed": lambda: Distributed(lambda: NTMMemory(5, 4, reads=2, dtype=torch.float64), 2),
}
every_block = pytest.mark.parametrize("make", BLOCKS.values(), ids=BLOCKS)


def with_members(make: Callable[[], Memory], blocks: int, **options: bool) -> tuple[Distributed, list[Memory]]:
    """A distributed memory, and its blocks as they were before they were joined; no two start alike."""
    members = [make() for _ in range(blocks)]
    for member in members:
        for parameter in member.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    given = iter(copy.deepcopy(members))
    return Distributed(lambda: next(given), blocks, **options), members


def sequence(memory: Memory, steps: int = 4, **options: Any) -> Tensor:
    return 2 * torch.randn(steps, B, memory.interface_size, dtype=torch.float64, **options)


@every_block
@pytest.mark.parametrize("blocks", [1, 3])
def test_steps_are_those_of_the_blocks_one_by_one(make: Callable[[], Memory], blocks: int) -> None:
    memory, members = with_members(make, blocks)
    state, states = memory.initial_state(B), [member.initial_state(B) for member in members]
    torch.testing.assert_close(
        memory.initial_reads(B), torch.stack([member.initial_reads(B) for member in members]).mean(0)
    )
    size = members[0].interface_size
    for interface in sequence(memory):
        logits = interface[:, blocks * size :].view(B, blocks, memory.reads)
        expected = torch.zeros(B, memory.reads, memory.read_size // memory.reads, dtype=torch.float64)
        for k, member in enumerate(members):
            mine = interface[:, k * size : (k + 1) * size]
            reads, states[k] = member(mine, states[k])
            gate = logits[:, k].exp() / logits.exp().sum(1)
            expected += gate.unsqueeze(-1) * reads.view_as(expected)
        reads, state = memory(interface, state)
        torch.testing.assert_close(reads, expected.flatten(1))
        together = map_leaves(lambda *leaves: torch.stack(leaves, dim=1), *states)
        torch.testing.assert_close(state.blocks.flatten(), together.flatten())


def test_one_block_is_a_memory_by_itself() -> None:
    """DAM-1 is a content-addressed DNC: its gate is one, whatever the logits."""
    memory, single = (
        Distributed(lambda: DNCMemory(5, 4, reads=2, links=False), 1),
        DNCMemory(5, 4, reads=2, links=False),
    )
    state, alone = memory.initial_state(B), single.initial_state(B)
    with tm.Recorder(memory) as recorder:
        for interface in sequence(memory).float():
            reads, state = memory(interface, state)
            expected, alone = single(interface[:, : single.interface_size], alone)
            torch.testing.assert_close(reads, expected)
    assert (recorder["attentive_gate"] == 1).all()
    torch.testing.assert_close(map_leaves(lambda leaf: leaf[:, 0], state.blocks).flatten(), alone.flatten())


def test_dam_1_is_a_content_only_dnc_with_a_normalised_controller() -> None:
    dam = tm.DAM(3, 6, slots=5, width=4, blocks=1, reads=2, output_size=2).eval()
    memory = DNCMemory(5, 4, reads=2, links=False)
    controller = Normalised(LSTMCell(3 + memory.read_size, 6, clip=20.0))
    readout = LinearReadout(6, memory.read_size, 2, clip=20.0)
    cell = MemoryAugmentedCell(
        controller, memory, interface=LinearInterface(controller, memory), readout=readout, bypass_dropout=0.1
    )
    kept = dict(dam.cell.state_dict())
    for name in ("interface.linear.weight", "interface.linear.bias"):
        kept[name] = kept[name][: memory.interface_size]  # without the logits of the gate
    cell.load_state_dict(kept)
    x = torch.randn(6, B, 3)
    torch.testing.assert_close(dam(x)[0], tm.Recurrent(cell).eval()(x)[0])


@pytest.mark.parametrize(("blocks", "reads"), [(2, 1), (3, 2), (4, 3)])
def test_gate_sums_to_one_over_the_blocks_for_each_read_head(blocks: int, reads: int) -> None:
    memory = Distributed(lambda: DNCMemory(5, 4, reads=reads), blocks)
    _, gate = memory.parts(10 * torch.randn(B, memory.interface_size))
    assert gate.shape == (B, blocks, reads) and (gate > 0).all()
    torch.testing.assert_close(gate.sum(1), torch.ones(B, reads))


def test_interface_has_the_size_of_the_paper() -> None:
    for blocks, reads, width in ((1, 1, 36), (2, 4, 48), (6, 2, 5)):
        memory = Distributed(lambda reads=reads, width=width: DNCMemory(8, width, reads=reads, links=False), blocks)
        assert memory.interface_size == blocks * (width * reads + 3 * width + 3 * reads + 3)


@every_block
def test_gradient_reaches_every_write_path_and_every_start(make: Callable[[], Memory]) -> None:
    memory, _ = with_members(make, 3)
    interfaces, state = sequence(memory, requires_grad=True), memory.initial_state(B)
    last = torch.zeros(())
    for interface in interfaces:
        last, state = memory(interface, state)
    total = last.square().sum() + memory.initial_reads(B).sum()
    gradients = torch.autograd.grad(total, [interfaces, *memory.parameters()])
    blocks, gate = gradients[0].split([3 * memory.block_interface_size, 3 * memory.reads], dim=-1)
    assert gate[-1].any()
    earlier = blocks[:-1].unflatten(-1, (3, -1))  # what the last reads saw of steps before is what was written then
    assert all(earlier[:, :, k].any() for k in range(3))
    assert all(gradient[k].any() for gradient in gradients[1:] for k in range(3))


def test_gated_retention_keeps_the_gated_weightings() -> None:
    """What a block frees at the next step then hangs on the gate, too (released code)."""
    memory, members = with_members(BLOCKS["dnc"], 2, gated_retention=True)
    size = members[0].interface_size
    state, states = memory.initial_state(B), [member.initial_state(B) for member in members]
    for interface in sequence(memory):
        _, gate = memory.parts(interface)
        _, state = memory(interface, state)
        for k, member in enumerate(members):
            _, after = member(interface[:, k * size : (k + 1) * size], states[k])
            states[k] = after._replace(read_weights=after.read_weights * gate[:, k].unsqueeze(-1))
            torch.testing.assert_close(
                map_leaves(lambda leaf, k=k: leaf[:, k], state.blocks).flatten(), states[k].flatten()
            )
    assert (state.blocks.read_weights.sum(-1) < 1).all()


@pytest.mark.parametrize("gated_retention", [False, True])
@pytest.mark.parametrize("make", [BLOCKS["dnc"], BLOCKS["ntm1"], BLOCKS["ntm2"]], ids=["dnc", "ntm1", "ntm2"])
def test_held_steps_are_the_halves_of_a_whole_one(make: Callable[[], Memory], gated_retention: bool) -> None:
    """For memories that write first."""
    memory, _ = with_members(make, 3, gated_retention=gated_retention)
    interface, state = sequence(memory)[0], memory.initial_state(B)
    for before in sequence(memory):
        _, state = memory(before, state)
    reads, whole = memory(interface, state)
    nothing, written = memory.only_write(interface, state)
    assert nothing is None
    torch.testing.assert_close(written.blocks.read_weights, state.blocks.read_weights, rtol=0, atol=0)
    again, both = memory.only_read(interface, written)
    torch.testing.assert_close((again, both.flatten()), (reads, whole.flatten()))
    _, looked = memory.only_read(interface, state)
    torch.testing.assert_close(looked.blocks.memory, state.blocks.memory, rtol=0, atol=0)


def test_recorder_sees_the_blocks_and_the_gate() -> None:
    model, x = tm.DAM(3, 6, slots=5, width=4, blocks=3, reads=2, writing="uniform:2"), torch.randn(4, B, 3)
    with tm.Recorder(model) as recorder:
        model(x)
    assert recorder["memory.attentive_gate"].shape == (2, B, 3, 2), "of the two steps that used the memory"
    assert recorder["memory.read_weights"].shape == (2, B, 3, 2, 5)
    torch.testing.assert_close(recorder["memory.usage"], recorder["state.memory.blocks.usage"][1::2])


def test_recorder_looks_inside_the_blocks_and_changes_nothing() -> None:
    model = tm.DAM(3, 6, slots=5, width=4, blocks=3, reads=2, engine="eager").eval()
    x = torch.randn(4, B, 3)
    plain, _ = model(x)
    with tm.Recorder(model) as recorder:
        recorded, _ = model(x)
    assert torch.equal(plain, recorded)
    assert recorder["memory.write_gate"].shape == (4, B, 3, 1) and recorder["memory.read_key"].shape == (4, B, 3, 2, 4)
    torch.testing.assert_close(
        recorder["memory.content_weights"], recorder["memory.read_weights"]
    )  # blocks have no links
    assert len({tuple(gate.flatten().tolist()) for gate in recorder["memory.write_gate"].unbind(2)}) == 3


def test_each_block_has_parameters_of_its_own() -> None:
    memory = Distributed(lambda: NTMMemory(5, 4), 3)
    starts = dict(memory.named_parameters())
    assert starts["block.memory.initial_memory.weight"].shape == (3, 5, 4)
    with torch.no_grad():
        starts["block.memory.initial_memory.weight"][1].fill_(2.0)
    contents = memory.initial_state(B).blocks.memory
    assert not contents[:, [0, 2]].any() and (contents[:, 1] == torch.tensor(2.0).tanh()).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distributed(BLOCKS["dnc"], 0), "blocks must be an integer of at least 1, got 0"),
        (lambda: Distributed(BLOCKS["distributed"], 2, gated_retention=True), "Distributed has none"),
        (lambda: different(DNCMemory(5, 4), DNCMemory(6, 4)), "blocks of one kind and size"),
        (lambda: different(DNCMemory(5, 4), DNCMemory(5, 3)), "blocks of one kind and size"),
        (lambda: different(DNCMemory(5, 4), NTMMemory(5, 4)), "blocks of one kind and size"),
        (lambda: different(NTMMemory(5, 4), NTMMemory(5, 4, reads=2)), "blocks of one kind and size"),
    ],
)
def test_bad_option_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def different(*members: Memory) -> Distributed:
    given = iter(members)
    return Distributed(lambda: next(given), len(members))
