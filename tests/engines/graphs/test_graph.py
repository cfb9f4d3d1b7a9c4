"""A graph holds for the batch sizes that it says, and leaves out what need not be computed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from torchmann.engines.graphs.graph import Form, Graph, form_of


def form(*shape: int, batched: bool = True) -> Form:
    return Form(shape, torch.float32, torch.device("cpu"), batched)


@pytest.mark.usefixtures("uncompiled")
def test_the_batch_size_is_open_but_for_conditions_that_the_function_makes() -> None:
    def function(x: Tensor) -> list[Tensor | None]:
        return [x * 2 if x.shape[0] <= 8 else x * 3]

    graph = Graph(function, [form(3)], 4)
    assert [graph.fits(size) for size in (2, 8, 9)] == [True, True, False]
    assert torch.equal(graph([torch.ones(7, 3)])[0], torch.full((7, 3), 2.0))
    assert not Graph(lambda x: [x.view(12)], [form(3)], 4).fits(5)


def test_what_is_handed_through_or_not_looked_at_is_not_computed(uncompiled: list[Any]) -> None:
    graph = Graph(lambda x, y, z: [y, None, x + 1, y.detach()], [form(3), form(2), form(4)], 4)
    x, y, z = torch.zeros(5, 3), torch.ones(5, 2), torch.ones(5, 4)
    same, nothing, computed, detached = graph([x, y, z])
    assert same is y and detached is y and nothing is None and torch.equal(computed, x + 1)
    assert [node.op for node in uncompiled[0].graph.nodes] == ["placeholder", "call_function", "output"]
    Graph(lambda x: [x], [form(3)], 4)
    assert len(uncompiled) == 1, "nothing to compute, nothing to compile"


def test_equal_graphs_are_compiled_once(uncompiled: list[Any]) -> None:
    for batch in (2, 5):
        Graph(lambda x: [x.exp()], [form(3)], batch)
    assert len(uncompiled) == 1
    Graph(lambda x: [x.exp()], [form(4)], 2)
    Graph(lambda x: [x.sin()], [form(3)], 2)
    assert len(uncompiled) == 3


@pytest.mark.usefixtures("uncompiled")
def test_the_forms_of_results() -> None:
    graph = Graph(lambda x: [x, x.sum(1, keepdim=True).double(), x.argmax(1)], [form(3)], 4)
    first, second, third = graph.result_forms()
    assert first == form(3) and second == form(1)._replace(dtype=torch.float64)
    assert third == form()._replace(dtype=torch.int64)


def test_the_form_of_a_tensor_in_a_batch_of_any_size_is_that_of_a_row() -> None:
    assert form_of(torch.zeros(4, 3), batched=False) == form(4, 3, batched=False)
    assert form_of(torch.zeros(4, 3), batched=True) == form(3)
