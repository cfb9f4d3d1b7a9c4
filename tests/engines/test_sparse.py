"""The sparse engine computes what eager computes, in a buffer that it changes in place."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import torchmann as tm
from torchmann.core import OptionError
from torchmann.core.state import named_leaves
from torchmann.engines import sparse_search
from torchmann.engines.sparse_order import Ages
from torchmann.memories import SparseMemory, Uniform
from torchmann.memories.search import largest, unit

INPUTS, TOLERANCE = 3, {torch.float64: (1e-9, 1e-10), torch.float32: (1e-4, 1e-5)}
needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="the extra torchmann[faiss] is not installed")


def sam(**options: Any) -> tm.Recurrent:
    return tm.SAM(INPUTS, 5, **{"slots": 12, "width": 4, **options})


def read_first(**options: Any) -> tm.Recurrent:
    memory = SparseMemory(10, 4, reads=2, nearest=3, **options)
    return tm.Recurrent(tm.cells.ReadFirstCell(tm.cells.GRUCell(INPUTS + 8, 5, **options), memory, **options))


def noisy(**options: Any) -> tm.Recurrent:
    controller = tm.cells.Zoneout(tm.cells.LSTMCell(INPUTS + 4, 5, **options), 0.5)
    memory = SparseMemory(9, 4, nearest=2, **options)
    return tm.Recurrent(tm.cells.MemoryAugmentedCell(controller, memory, bypass_dropout=0.3, **options))


MODELS: dict[str, Callable[..., tm.Recurrent]] = {
    "one head": sam,
    "two heads": lambda **options: sam(reads=2, writes=2, nearest=3, **options),
    "shared heads": lambda **options: sam(reads=4, writes=2, strength=None, delta=0.1, **options),
    "all slots": lambda **options: sam(slots=4, nearest=4, **options),
    "held": lambda **options: sam(writing="uniform:3", **options),
    "no write": lambda **options: sam(writing=Uniform(3, hold="write"), **options),
    "no read": lambda **options: sam(writing=Uniform(3, hold="read"), **options),
    "cached": lambda **options: sam(writing="cached:3", **options),
    "layers": lambda **options: sam(controller="gru", layers=2, **options),
    "read first": read_first,
    "noise": noisy,
}


def spread(model: tm.Recurrent) -> tm.Recurrent:
    """Weights large enough that which slots are nearest is clear, and changes."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def made(name: str, dtype: torch.dtype = torch.float64) -> tm.Recurrent:
    return spread(MODELS[name](dtype=dtype))


def inputs(steps: int = 13, batch: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(steps, batch, INPUTS, dtype=dtype)


def trained(model: tm.Recurrent, engine: str, x: Tensor, state: Any, options: dict[str, Any]) -> dict[str, Tensor]:
    """Output and state, and all gradients of some function of them."""
    model.engine = engine
    x = x.clone().requires_grad_()
    if state is not None:
        leaves = {name: leaf.detach().clone() for name, leaf in state.flatten().items()}
        floating = {f"d state.{name}": leaf.requires_grad_() for name, leaf in leaves.items() if leaf.dtype == x.dtype}
        state = state.unflatten(leaves)
    model.zero_grad()
    output, after = model(x, state, generator=torch.Generator().manual_seed(2), **options)
    found = {"output": output, **dict(named_leaves(after))}
    generator = torch.Generator().manual_seed(1)
    ends = [value for value in found.values() if value.is_floating_point()]
    sum((end * torch.randn(end.shape, dtype=x.dtype, generator=generator)).sum() for end in ends).backward()
    given = {} if state is None else {name: _gradient(leaf) for name, leaf in floating.items()}
    gradients = {"d input": x.grad, **given, **{f"d {name}": p.grad for name, p in model.named_parameters()}}
    return {name: value.detach() for name, value in (found | gradients).items() if value is not None}


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def agree(model: tm.Recurrent, x: Tensor, state: Any = None, **options: Any) -> None:
    wanted = trained(model, "eager", x, state, options)
    actual = trained(model, "sparse", x, state, options)
    assert actual.keys() == wanted.keys()
    rtol, atol = TOLERANCE[x.dtype]
    for name, value in actual.items():
        torch.testing.assert_close(
            value, wanted[name], rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("name", MODELS)
def test_as_eager(name: str) -> None:
    agree(made(name), inputs())


@pytest.mark.parametrize("name", MODELS)
def test_lengths_and_resets(name: str) -> None:
    model, x = made(name), inputs(batch=4)
    agree(model, x, lengths=[13, 4, 9, 1])
    reset = torch.rand(13, 4) < 0.2
    agree(model, x, reset=reset)
    agree(model, x, reset=reset, lengths=[5, 13, 1, 9])


@pytest.mark.parametrize("name", MODELS)
def test_a_state_comes_in_and_has_a_gradient(name: str) -> None:
    model = made(name)
    model.engine = "eager"
    _, state = model(inputs())
    agree(model, inputs(), state, start=13)
    agree(model, inputs(), state, lengths=[2, 13, 7], reset=torch.rand(13, 3) < 0.1)
    leaves = {
        name: torch.randn_like(leaf) if "memory.memory" in name else leaf for name, leaf in state.flatten().items()
    }
    agree(model, inputs(), state.unflatten(leaves))


@pytest.mark.parametrize("name", ["one head", "shared heads", "read first"])
def test_in_single_precision(name: str) -> None:
    agree(made(name, torch.float32), inputs(dtype=torch.float32))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 9), st.sampled_from(sorted(MODELS)))
def test_any_weights_and_input(seed: int, batch: int, steps: int, name: str) -> None:
    torch.manual_seed(seed)
    agree(made(name), inputs(steps, batch))


def test_chunks_are_the_whole_and_gradients_pass_from_one_to_the_other() -> None:
    model, x = made("two heads"), inputs()
    whole = trained(model, "sparse", x, None, {})
    x.requires_grad_()
    model.zero_grad()
    first, state = model(x[:5])
    second, state = model(x[5:], state)
    generator = torch.Generator().manual_seed(1)
    ends = [torch.cat([first, second]), *(leaf for _, leaf in named_leaves(state) if leaf.is_floating_point())]
    sum((end * torch.randn(end.shape, dtype=x.dtype, generator=generator)).sum() for end in ends).backward()
    torch.testing.assert_close(x.grad, whole["d input"], rtol=1e-9, atol=1e-10)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, whole[f"d {name}"], rtol=1e-9, atol=1e-10)


def test_states_belong_to_who_has_them() -> None:
    model = made("one head")
    model.engine = "sparse"
    output, state = model(inputs())
    before = state.detach().clone().flatten()
    again, later = model(inputs(), state)
    (output.sum() + again.sum() + later.memory.memory.square().sum()).backward()
    for name, leaf in state.flatten().items():
        assert torch.equal(leaf, before[name]), "a step, or the way back, changed a state that it was given"
    storages = {leaf.untyped_storage().data_ptr() for given in (state, later) for leaf in given.flatten().values()}
    assert len(storages) == 2 * len(before)


def test_autocast_and_frozen_parameters() -> None:
    model, x = made("one head", torch.float32), inputs(dtype=torch.float32)
    model.cell.interface.requires_grad_(False)
    agree(model, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted, actual = (trained(model, engine, x, None, {}) for engine in ("eager", "sparse"))
    for name, value in actual.items():
        torch.testing.assert_close(value, wanted[name], rtol=0.05, atol=0.05, msg=name)


def test_a_recorder_sees_all_and_an_empty_batch_is_one() -> None:
    model = made("one head")
    model.engine = "sparse"
    with tm.Recorder(model) as recorder:
        model(inputs())
    assert recorder["write_weights"].shape == (13, 3, 1, 12)
    assert model(inputs(batch=0))[0].shape == (13, 0, 5)


def test_under_the_checkpointed_engine() -> None:
    model, x = made("one head"), inputs()
    for options in ({}, {"lengths": [2, 13, 7]}):
        wanted, actual = (trained(model, engine, x, None, options) for engine in ("eager", "checkpointed:sparse"))
        for name, value in actual.items():
            torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-10)


class LargeResults(TorchDispatchMode):
    """Counts the operators that make a tensor of at least so many numbers."""

    views = (torch.ops.aten.view.default, torch.ops.aten.detach.default, torch.ops.aten.alias.default)

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.found = size, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        new = isinstance(result, Tensor) and not function._schema.is_mutable and function not in self.views
        self.found += new and result.numel() >= self.size
        return result


def test_no_step_does_work_that_grows_with_the_slots() -> None:
    slots, counts = 5000, {}
    for steps in (3, 9):
        model = sam(slots=slots, engine="sparse")
        output, _ = model(inputs(1, 2, torch.float32))
        with LargeResults(slots) as large:
            output, _ = model(inputs(steps, 2, torch.float32))
            output.sum().backward()
        counts[steps] = large.found
    assert counts[3] == counts[9] > 0


def test_what_is_kept_for_the_way_back_does_not_grow_with_the_slots() -> None:
    kept = []
    for slots in (64, 4096):
        sizes: list[int] = []

        def pack(value: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(value.untyped_storage().nbytes())
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            sam(slots=slots, engine="sparse")(inputs(7, 2, torch.float32))
        kept.append(sum(sizes))
    assert kept[0] == kept[1] > 0


def test_a_million_slots_are_trained() -> None:
    model = sam(slots=1_000_000, width=2, reads=2, writes=2, engine="sparse")
    output, state = model(inputs(4, 1, torch.float32))
    output.square().sum().backward()
    assert state.memory.memory.shape == (1, 1_000_000, 2) and model.cell.interface.linear.weight.grad.any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_ages_are_those_of_the_reference(seed: int, chosen: int, equal: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    slots = 9
    elapsed_N = torch.randint(0, 1 if equal else 4, (slots,), generator=generator)
    ages = Ages(elapsed_N)
    for _ in range(25):
        assert ages.oldest(chosen) == largest(elapsed_N, chosen).tolist()
        accessed = torch.rand(slots, generator=generator) < 0.25
        ages.step(accessed.nonzero().flatten().tolist())
        elapsed_N = torch.where(accessed, 0, elapsed_N + 1)
        assert torch.equal(ages.elapsed(), elapsed_N)


@needs_faiss
def test_an_index_whose_lists_are_all_searched_finds_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of: list[int] = []
    make = sparse_search.RowIndex.__init__

    def noted(self: Any, units_UW: Any) -> None:
        made_of.append(len(units_UW))
        make(self, units_UW)

    monkeypatch.setattr(sparse_search, "FEW", 8)
    monkeypatch.setattr(sparse_search, "PROBES", 1000)
    monkeypatch.setattr(sparse_search.RowIndex, "__init__", noted)
    torch.manual_seed(0)
    exact = spread(sam(slots=40, reads=2, nearest=3, dtype=torch.float64))
    model = sam(slots=40, reads=2, nearest=3, index="faiss", dtype=torch.float64)
    model.load_state_dict(exact.state_dict())
    leaves = exact.initial_state(2).flatten()
    leaves["memory.memory"] = torch.randn(2, 40, 4, dtype=torch.float64)  # the order of equal rows is the index's own
    state, x = exact.initial_state(2).unflatten(leaves), inputs(30, 2)
    for options in ({}, {"lengths": [30, 12]}):
        wanted, actual = trained(exact, "eager", x, state, options), trained(model, "sparse", x, state, options)
        for name, value in actual.items():
            torch.testing.assert_close(value, wanted[name], rtol=1e-9, atol=1e-10)
    assert set(made_of) == {40} and len(made_of) > 4, "an index is made anew when as many rows were written"


@needs_faiss
def test_an_index_holds_the_rows_of_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_search, "FEW", 8)
    search, sizes = sparse_search.Nearest.__call__, []

    def checked(self: Any, query_BRW: Tensor) -> Tensor:
        found = search(self, query_BRW)
        for row, index in enumerate(self.indexes):
            if index is not None:
                held = self.buffer.held[row]
                rows_UW = unit(self.buffer.rows_BUW[row, :held])
                assert index.index.ntotal == held
                stored = torch.from_numpy(index.index.reconstruct_batch(torch.arange(held).numpy()))
                torch.testing.assert_close(stored, rows_UW)
                sizes.append(held)
        return found

    monkeypatch.setattr(sparse_search.Nearest, "__call__", checked)
    model = spread(sam(slots=60, reads=2, nearest=3, index="faiss", engine="sparse"))
    output, _ = model(inputs(30, 2, torch.float32), reset=torch.rand(30, 2) < 0.05)
    output.sum().backward()
    assert max(sizes) > 20 and output.isfinite().all()


@needs_faiss
def test_a_search_that_finds_too_few_goes_through_all_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_search, "PROBES", 1)
    units = torch.nn.functional.normalize(torch.randn(50, 4), dim=-1)
    found = sparse_search.RowIndex(units.numpy()).search(units[:3].numpy(), 45)
    assert all(len(set(places)) == 45 and min(places) >= 0 for places in found.tolist())


@pytest.mark.parametrize("index", ["exact", pytest.param("faiss", marks=needs_faiss)])
def test_what_is_not_a_number_is_no_error(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_search, "FEW", 8)
    model = sam(index=index, engine="sparse")
    state = model.initial_state(2)
    leaves = state.flatten() | {"memory.memory": torch.randn(2, 12, 4)}
    x = inputs(5, 2, torch.float32)
    x[2, 0] = torch.nan
    output, _ = model(x, state.unflatten(leaves))
    output.sum().backward()
    assert output[2:, 0].isnan().all() and output[:, 1].isfinite().all()


@needs_faiss
def test_an_index_finds_most_of_what_is_nearest_after_rows_were_written() -> None:
    torch.manual_seed(0)
    centres = torch.randn(500, 16)
    rows = centres[torch.randint(500, (8000,))] + 0.3 * torch.randn(8000, 16)
    units = torch.nn.functional.normalize(rows, dim=-1)
    index = sparse_search.RowIndex(units[:6000].numpy())
    for start in range(6000, 8000, 4):
        assert index.learn(torch.arange(start, start + 4).numpy(), units[start : start + 4].numpy())
    moved = torch.tensor([5, 17, 5])
    units[5], units[17] = units[7000], -units[7000]
    index.learn(moved.numpy(), units[moved].numpy())
    queries = torch.cat([units[[5, 17]], torch.nn.functional.normalize(units[::80] + 0.05 * torch.randn(100, 16))])
    found = index.search(queries.numpy(), 4)
    nearest = (queries @ units.mT).topk(4).indices
    assert {5, 7000} <= set(found[0].tolist()) and found[1, 0] == 17
    hits = (found.unsqueeze(-1) == nearest.unsqueeze(-2)).any(-1).float().mean()
    assert hits > 0.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tm.LSTM(INPUTS, 4, engine="sparse"), r"a SparseMemory \(SAM\), not a LSTMCell; use engine='eager'"),
        (lambda: tm.NTM(INPUTS, 4, slots=4, width=3, engine="sparse"), "not a MemoryAugmentedCell with a NTMMemory"),
        (lambda: tm.SDNC(INPUTS, 4, slots=9, width=3, engine="sparse"), "the sparse DNC goes through the links"),
        (lambda: sam(variant="visible", engine="sparse"), "variant='visible' keeps a weight of every slot"),
    ],
)
def test_what_it_cannot_run(make: Callable[[], tm.Recurrent], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()(inputs(2, 1, torch.float32))


def test_no_second_derivatives_and_no_transforms() -> None:
    model, x = made("one head"), inputs()
    model.engine = "sparse"
    weight = model.cell.interface.linear.weight
    (first,) = torch.autograd.grad(model(x)[0].sum(), weight, create_graph=True)
    with pytest.raises(OptionError, match="second derivatives: use engine='eager' or engine='checkpointed'"):
        first.square().sum().backward()
    with pytest.raises(OptionError, match=r"within torch\.func.*use engine='eager'"):
        torch.func.vmap(lambda x: model(x)[0])(x.unsqueeze(0))


def test_nothing_is_kept_without_gradients() -> None:
    model = made("one head")
    model.engine = "sparse"
    with torch.no_grad():
        output, state = model(inputs())
    assert not output.requires_grad and not state.memory.memory.requires_grad
