"""The compiled engine gives what eager gives; most tests run its traced graphs without compiling them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conformance.test_cells import CELLS
from tests.engines.parity import STEPS, agree, arguments, everything

import torchmann as tm
from torchmann.core.errors import OptionError
from torchmann.core.gradients import differentiable_form
from torchmann.core.state import map_leaves
from torchmann.engines import compiled

# noise, a learned start, more than one step kind
TRACED = ("stacked-dropout", "gru-reset-before", "rmc-no-gates-uniform")
COMPILED = ["lstm", "ntm-heads", "dnc-cached", "ntm3", "dam", "rmc-port", "darmc-port-cached", "sam", "sdnc", "armin"]
COMPILED_IN_FLOAT64 = ["layernorm-lstm", "dnc-heads", "tardis"]
EXACT = {"rtol": 1e-9, "atol": 1e-11}
LSTM = tm.cells.LSTMCell(3, 5, initial="learned").double()


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.usefixtures("uncompiled")
def test_as_eager(name: str) -> None:
    cell = CELLS[name]().double()
    x, options = arguments(cell)
    agree(compiled.unroll, cell, x, **options, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.usefixtures("uncompiled")
def test_every_cell_as_eager(name: str) -> None:
    cell = CELLS[name]().double()
    for batch in (2, 3, 1):  # a first size, others, and one
        x, options = arguments(cell, batch=batch)
        agree(compiled.unroll, cell, x, **options, **EXACT)
        _, state = compiled.unroll(cell, x, cell.initial_state(batch), schedule=cell.schedule(STEPS))
        agree(compiled.unroll, cell, x, state.detach(), schedule=cell.schedule(STEPS, start=STEPS), **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_as_eager(name: str) -> None:
    cell = CELLS[name]()
    x, options = arguments(cell, dtype=torch.float32)
    agree(compiled.unroll, cell, x, **options, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED_IN_FLOAT64)
def test_compiled_as_eager_in_float64(name: str) -> None:
    cell = CELLS[name]().double()
    x, options = arguments(cell)
    agree(compiled.unroll, cell, x, **options, **EXACT)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("name", ["lstm", "dnc-heads", "rmc-port", "sam", "armin"])
def test_compiled_as_eager_on_an_accelerator(name: str) -> None:
    cell = CELLS[name]()
    x, options = arguments(cell, dtype=torch.float32)
    moved = {key: map_leaves(lambda leaf: leaf.cuda(), options[key]) for key in ("reset_TB", "noise")}
    agree(compiled.unroll, cell.cuda(), x.cuda(), **options | moved, rtol=1e-3, atol=1e-4)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.usefixtures("uncompiled")
def test_any_lengths_resets_and_batch_size(data: st.DataObject) -> None:
    batch, steps = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 6))
    lengths = data.draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    flags = data.draw(st.lists(st.booleans(), min_size=steps * batch, max_size=steps * batch))
    reset = torch.tensor(flags).view(steps, batch)
    x = torch.randn(steps, batch, LSTM.input_size, dtype=torch.float64)
    agree(compiled.unroll, LSTM, x, lengths_B=torch.tensor(lengths), reset_TB=reset, **EXACT)


def run(cell: tm.Cell, x: torch.Tensor, **options: Any) -> dict[str, torch.Tensor | None]:
    return everything(compiled.unroll, cell, x, **options)


def test_few_graphs_for_all_batch_sizes_and_all_cells_of_a_kind(uncompiled: list[Any]) -> None:
    cell = tm.cells.LSTMCell(3, 5)
    made = []
    for batch in (2, 2, 1, 3, 9, 2, 1):
        run(cell, torch.randn(4, batch, 3))
        made.append(len(uncompiled))
    assert made == [2, 2, 4, 6, 6, 6, 6], "a step and its vector-Jacobian product: the first size, one, all others"
    run(tm.cells.LSTMCell(3, 5), torch.randn(2, 2, 3))
    assert len(uncompiled) == 6, "a second cell takes the code of the first"
    run(tm.cells.LSTMCell(3, 6), torch.randn(4, 2, 3))
    assert len(uncompiled) == 8, "one of another size has its own"


def test_a_graph_for_each_step_kind(uncompiled: list[Any]) -> None:
    cell = tm.NTM(3, 6, slots=5, width=4, writing="uniform:2").cell
    run(cell, torch.randn(4, 1, 3))
    assert len(uncompiled) == 4
    taken = [
        {tuple(node.meta["val"].shape) for node in graph.graph.nodes if node.op == "placeholder"}
        for graph in uncompiled
    ]
    assert [(1, 5, 4) in shapes for shapes in taken] == [False, False, True, True], "a held step takes no memory"


def test_a_changed_cell_is_traced_anew(uncompiled: list[Any]) -> None:
    cell = tm.cells.LSTMCell(3, 5).double()
    x = torch.randn(4, 1, 3, dtype=torch.float64)
    run(cell, x)
    cell.clip = 0.05
    agree(compiled.unroll, cell, x, **EXACT)
    with torch.no_grad():
        cell.weight_hh.mul_(0.5)
    agree(compiled.unroll, cell, x, **EXACT)
    assert len(uncompiled) == 4, "but not for other numbers in its tensors"


@pytest.mark.usefixtures("uncompiled")
def test_the_differentiable_form_is_traced_for_itself() -> None:
    cell = CELLS["armin"]().double()
    x, options = arguments(cell, batch=1)
    agree(compiled.unroll, cell, x, **options, **EXACT)
    with differentiable_form():
        agree(compiled.unroll, cell, x, **options, **EXACT)


@pytest.mark.usefixtures("uncompiled")
def test_frozen_parameters_and_no_gradient_at_all() -> None:
    model = tm.LSTM(3, 4, engine="compiled")
    model.cell.weight_ih.requires_grad_(False)
    agree(compiled.unroll, model.cell, torch.randn(4, 2, 3), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        output, state = model(torch.randn(4, 2, 3))
    assert not output.requires_grad and not state.h.requires_grad
    output, _ = model.requires_grad_(False)(torch.randn(4, 2, 3))
    assert not output.requires_grad
    with torch.inference_mode():
        model(torch.randn(4, 2, 3))


@pytest.mark.parametrize("engine", ["compiled", "checkpointed"])
@pytest.mark.usefixtures("uncompiled")
def test_a_parameter_without_a_part_in_anything_has_no_gradient(engine: str) -> None:
    model = tm.Recurrent(tm.cells.ElmanCell(3, 4), engine=engine)
    model.cell.spare = torch.nn.Parameter(torch.ones(2))
    model(torch.randn(4, 1, 3))[0].sum().backward()
    assert model.cell.spare.grad is None and model.cell.weight_hh.grad is not None


@pytest.mark.usefixtures("uncompiled")
def test_under_autocast_as_eager() -> None:
    model = tm.NTM(3, 6, slots=5, width=4)
    x = torch.randn(5, 1, 3)
    found: dict[str, list[torch.Tensor]] = {}
    for engine in ("eager", "compiled"):
        model.engine = engine
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output, state = model(x)
        output.float().square().sum().backward()
        found[engine] = [output, *state.flatten().values(), *(p.grad for p in model.parameters())]
    for eager, other in zip(found["eager"], found["compiled"], strict=True):
        torch.testing.assert_close(other, eager, rtol=0.05, atol=0.02)
    assert model(x)[0].dtype == torch.float32, "traced anew without autocast"


@pytest.mark.usefixtures("uncompiled")
def test_second_derivatives_are_refused_with_the_engines_that_have_them() -> None:
    model = tm.LSTM(3, 4, engine="compiled")
    x = torch.randn(3, 1, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(OptionError, match=r"no second derivatives: use engine='eager' or engine='checkpointed'"):
        gradient.square().sum().backward()


def test_a_recorder_the_meta_device_and_an_empty_batch_take_eager(uncompiled: list[Any]) -> None:
    model = tm.NTM(3, 4, slots=5, width=4, engine="compiled")
    with tm.Recorder(model) as recorder:
        model(torch.randn(4, 2, 3))
    assert recorder["memory.write_weights"].shape == (4, 2, 1, 5)
    assert model(torch.randn(4, 0, 3))[0].shape == (4, 0, 4)
    assert copy.deepcopy(model).to("meta")(torch.randn(4, 2, 3, device="meta"))[0].is_meta
    assert not uncompiled


def test_within_torch_func_it_is_refused() -> None:
    model = tm.LSTM(3, 4, engine="compiled")
    with pytest.raises(OptionError, match=r"called within torch\.func.*use engine='eager'"):
        torch.func.vmap(lambda x: model(x)[0])(torch.randn(2, 4, 1, 3))


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    compiled.compiler_problem.cache_clear()
    model = tm.LSTM(3, 4, engine="compiled")
    try:
        assert compiled.available(model) == (
            "there is no C++ compiler no-such-compiler (the environment variable CXX may name another)"
        )
        with pytest.raises(OptionError, match=r"cannot run here: there is no C\+\+ compiler.*use engine='eager'"):
            model(torch.randn(4, 2, 3))
    finally:
        compiled.compiler_problem.cache_clear()
    assert "no compiler for the device 'meta'" in str(compiled.available(model.to("meta")))


def test_what_cannot_be_compiled_is_named() -> None:
    class Branching(tm.cells.ElmanCell):
        def forward(self, x: torch.Tensor, state: Any, noise: None = None) -> Any:
            return super().forward(x if x.sum() > 0 else -x, state)

    model = tm.Recurrent(Branching(3, 4), engine="compiled")
    with pytest.raises(OptionError, match=r"engine='compiled' cannot compile this cell: .*use engine='eager'"):
        model(torch.randn(4, 2, 3))


class Tagger(torch.nn.Module):
    """A user's model around ours."""

    def __init__(self, body: tm.Recurrent) -> None:
        super().__init__()
        self.embed, self.body, self.head = torch.nn.Linear(4, 3), body, torch.nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.embed(x).relu())[0])


BODIES: dict[str, Callable[[str], tm.Recurrent]] = {
    "lstm": lambda engine: tm.LSTM(3, 6, engine=engine),
    "dnc": lambda engine: tm.DNC(3, 6, slots=5, width=4, writing="uniform:2", engine=engine),
}


@pytest.mark.parametrize(("engine", "fullgraph"), [("eager", True), ("compiled", False)])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.usefixtures("uncompiled")
def test_a_whole_model_around_ours_compiles(body: str, engine: str, fullgraph: bool) -> None:
    torch.compiler.reset()
    model = Tagger(BODIES[body](engine))
    whole = torch.compile(model, fullgraph=fullgraph, backend="aot_eager")
    x = torch.randn(3, 1, 4)
    results = []
    for run_ in (whole, model):
        output = run_(x)
        results.append((output, *torch.autograd.grad(output.square().sum(), list(model.parameters()))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
