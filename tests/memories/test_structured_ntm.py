"""Structured memories against their equations in plain Python, and against the NTM that they contain."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.memories.slow_dnc import Matrix, slow_read, slow_write
from tests.memories.test_ntm import slow_address
from torch import Tensor

import torchmann as tm
from torchmann.core import OptionError
from torchmann.memories import NTMMemory, NTMState, StructuredNTMMemory

B, SLOTS, WIDTH = 2, 5, 3


def build(**options: Any) -> StructuredNTMMemory:
    """A memory in float64 in which no two starts are alike."""
    memory = StructuredNTMMemory(SLOTS, WIDTH, dtype=torch.float64, **options)
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter, mean=0.3, std=0.5)
    return memory


def sequence(memory: NTMMemory, steps: int = 4) -> Tensor:
    return 2 * torch.randn(steps, B, memory.interface_size, dtype=torch.float64)


def head(fields: dict[str, Tensor], row: int, number: int) -> dict[str, Any]:
    return {name: value[row, number].tolist() for name, value in fields.items()}


def mixed(a: float, own: Matrix, b: float, above: Matrix) -> Matrix:
    return [[a * x + b * y for x, y in zip(mine, theirs, strict=True)] for mine, theirs in zip(own, above, strict=True)]


def slow_step(memory: StructuredNTMMemory, interface: Tensor, state: NTMState, row: int) -> dict[str, Any]:
    """The equations of NTM1 and NTM2 for one row: address with the last weighting, write, mix, read the last level."""
    reading, writing = memory.heads(interface)
    a, b = memory.mixing.tolist()
    levels, weightings = [], []
    for k, own in enumerate(state.memory[row].tolist()):
        if k < state.write_weights.shape[1]:
            shared = writing["key"].shape[1] == 1
            hand = head(writing, row, 0 if shared else k)
            w = slow_address(hand, state.write_weights[row, k].tolist(), own)
            own = slow_write(own, [w], [hand["erase"]], [hand["add"]])
            weightings.append(w)
        levels.append(own if k == 0 else mixed(a, own, b, levels[k - 1]))
    hand = head(reading, row, 0)
    w = slow_address(hand, state.read_weights[row, 0].tolist(), levels[-1])
    return {"memory": levels, "write_weights": weightings, "read_weights": [w], "reads": slow_read(levels[-1], w)}


VARIANTS: dict[str, dict[str, Any]] = {
    "ntm1": {"written": "first"},
    "ntm1 with two hidden memories": {"written": "first", "levels": 3},
    "ntm2": {},
    "ntm2 with three levels": {"levels": 3},
    "shared heads": {"levels": 3, "shared_heads": True},
    "coupled erase": {"erase": "coupled", "shift_range": 2},
}
variants = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)


@variants
def test_steps_equal_the_equations(options: dict[str, Any]) -> None:
    memory = build(**options)
    state = memory.initial_state(B)
    for interface in sequence(memory):
        reads, after = memory(interface, state)
        for row in range(B):
            expected = slow_step(memory, interface, state, row)
            actual = after.select(row)._asdict() | {"reads": reads[row]}
            assert actual.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(actual[name], torch.tensor(value, dtype=torch.float64), msg=name)
        state = after


def twin_models(structured: type[tm.Recurrent], level: int, **options: Any) -> tuple[tm.Recurrent, tm.NTM]:
    """A structured model, and the NTM that it is when only one of its levels counts: its parameters where they fit."""
    sizes: dict[str, Any] = {"slots": SLOTS, "width": WIDTH, "output_size": 2, "dtype": torch.float64}
    model, plain = structured(3, 6, **sizes, **options), tm.NTM(3, 6, order="write_first", **sizes)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    memory: StructuredNTMMemory = model.cell.memory
    rows = {}
    for name, value in model.state_dict().items():
        if name == "cell.memory.initial_memory.weight":
            value = value[level]
        elif name == "cell.memory.initial_write_weights.weight":
            value = value[level : level + 1]
        elif name.startswith("cell.interface.linear"):
            read_size = sum(torch.Size(shape).numel() for shape in memory.read_fields.values())
            fields = value[read_size:].split([torch.Size(shape).numel() for shape in memory.write_fields.values()])
            value = torch.cat([value[:read_size], *(field.chunk(memory.writes)[level] for field in fields)])
        rows[name] = value
    plain.load_state_dict({name: value for name, value in rows.items() if name != "cell.memory.mixing"})
    return model, plain


def test_ntm1_with_a_zero_and_b_one_is_an_ntm_that_reads_after_writing() -> None:
    model, plain = twin_models(tm.NTM1, level=0, a=0.0, b=1.0, trained=False)
    x = torch.randn(6, B, 3, dtype=torch.float64)
    output, state = model(x)
    expected, expected_state = plain(x)
    torch.testing.assert_close(output, expected)
    for level in range(2):
        torch.testing.assert_close(state.memory.memory[:, level], expected_state.memory.memory)


def test_ntm2_with_a_one_and_b_zero_is_an_ntm_on_its_last_memory() -> None:
    model, plain = twin_models(tm.NTM2, level=1, a=1.0, b=0.0, trained=False)
    x = torch.randn(6, B, 3, dtype=torch.float64)
    output, state = model(x)
    expected, expected_state = plain(x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(state.memory.memory[:, 1], expected_state.memory.memory)


def test_the_upper_memory_then_has_no_effect_and_otherwise_has() -> None:
    x = torch.randn(4, B, 3, dtype=torch.float64)
    for b, matters in ((0.0, False), (0.5, True)):
        model, _ = twin_models(tm.NTM2, level=1, a=1.0, b=b, trained=False)
        start = model.initial_state(B)
        contents = start.memory.memory.detach().clone().requires_grad_()
        output, _ = model(x, start._replace(memory=start.memory._replace(memory=contents)))
        (gradient,) = torch.autograd.grad(output.square().sum(), contents)
        assert bool(gradient[:, 0].any()) is matters and gradient[:, 1].any()


@pytest.mark.parametrize("make", [tm.NTM, tm.NTM1, tm.NTM2, tm.NTM3])
@pytest.mark.parametrize("preset", ["recommended", "paper"])
def test_heads_start_at_the_first_row(make: Any, preset: str) -> None:
    """The softmax of N, N-1, ..., 1: first entry 0.6321 at N = 128."""
    state = make(3, 4, slots=128, width=2, preset=preset).initial_state(B).memory
    levels = {tm.NTM2: 2, tm.NTM3: 2}.get(make, 1)
    assert state.read_weights.shape == (B, 1, 128) and state.write_weights.shape == (B, levels, 128)
    for weights in (state.read_weights, state.write_weights):
        expected = torch.tensor([0.6321, 0.2325, 0.0855]).expand(*weights.shape[:2], 3)
        torch.testing.assert_close(weights[..., :3], expected, atol=1e-4, rtol=0)


def test_each_level_starts_from_a_matrix_of_its_own() -> None:
    memory = build(levels=3)
    assert memory.initial_memory.weight.shape == (3, SLOTS, WIDTH)
    torch.testing.assert_close(memory.initial_state(B).memory[0], memory.initial_memory.weight.tanh())


def test_only_the_last_level_is_read() -> None:
    """And before a step everything above it reaches the reads through the mixture alone."""
    memory = build(levels=3)
    state = memory.initial_state(B)
    other = state._replace(memory=torch.cat([torch.randn_like(state.memory[:, :2]), state.memory[:, 2:]], dim=1))
    interface = sequence(memory)[0]
    torch.testing.assert_close(memory.only_read(interface, state)[0], memory.only_read(interface, other)[0])
    assert not torch.allclose(memory(interface, state)[0], memory(interface, other)[0])


@variants
def test_held_steps_are_the_halves_of_a_whole_one(options: dict[str, Any]) -> None:
    memory = build(**options)
    interface, state = sequence(memory)[0], memory.initial_state(B)
    reads, whole = memory(interface, state)
    nothing, written = memory.only_write(interface, state)
    assert nothing is None and written.read_weights is state.read_weights
    again, both = memory.only_read(interface, written)
    torch.testing.assert_close((again, both.flatten()), (reads, whole.flatten()))
    _, looked = memory.only_read(interface, state)
    assert looked.memory is state.memory and looked.write_weights is state.write_weights


def test_a_hidden_memory_rests_while_writing_is_held() -> None:
    """It accumulates at writes, not at every step: a held step touches no memory."""
    model = tm.NTM1(3, 4, slots=SLOTS, width=WIDTH, writing="uniform:3")
    torch.nn.init.normal_(model.cell.memory.initial_memory.weight)
    with tm.Recorder(model) as recorder:
        model(torch.randn(6, B, 3))
    hidden = recorder["state.memory.memory"][:, :, 1]
    moved = [not torch.equal(hidden[t], hidden[t - 1]) for t in range(1, 6)]
    assert moved == [False, True, False, False, True]


def test_mixture_is_trained_or_fixed() -> None:
    trained = StructuredNTMMemory(SLOTS, WIDTH, a=0.25, b=0.75)
    assert trained.mixing.tolist() == [0.25, 0.75] and "mixing" in dict(trained.named_parameters())
    fixed = StructuredNTMMemory(SLOTS, WIDTH, a=0.25, b=0.75, trained=False)
    assert "mixing" not in dict(fixed.named_parameters()) and fixed.state_dict()["mixing"].tolist() == [0.25, 0.75]


def test_shared_heads_are_heads_that_emit_the_same() -> None:
    shared, own = build(shared_heads=True), build()
    own.load_state_dict(shared.state_dict())
    interface = sequence(shared)[0]
    sizes = [torch.Size(shape).numel() for shape in (shared.read_fields | shared.write_fields).values()]
    fields = dict(zip(shared.read_fields | shared.write_fields, interface.split(sizes, dim=1), strict=True))
    doubled = [value.repeat(1, 2) if name in shared.write_fields else value for name, value in fields.items()]
    first, again = shared(interface, shared.initial_state(B)), own(torch.cat(doubled, 1), own.initial_state(B))
    torch.testing.assert_close(first[0], again[0])
    torch.testing.assert_close(first[1].flatten(), again[1].flatten())
    weights = first[1].write_weights
    assert not torch.allclose(weights[:, 0], weights[:, 1]), "each level keeps a weighting of its own"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, "levels must be at least 2, got 1; an NTMMemory has one"),
        ({"written": "every"}, "unknown written 'every'"),
        ({"slots": 0}, "slots must be an integer of at least 1, got 0"),
        ({"initial_memory": "tahn"}, "unknown kind of start 'tahn': did you mean 'tanh'"),
    ],
)
def test_bad_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        StructuredNTMMemory(**({"slots": 4, "width": 3} | options))
