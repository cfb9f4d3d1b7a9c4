"""A function of tensors, traced once, compiled once, for one batch size or for all.

Shapes: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
import torch._inductor
from torch import Tensor, fx
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.fx.graph import CodeGen

Flat = Callable[..., Sequence[Tensor | None]]
"""A function of tensors that returns some of them, new ones, and None."""


class Form(NamedTuple):
    """All that a graph knows of a tensor, which must be contiguous."""

    shape: tuple[int, ...]  # without the batch axis if `batched`
    dtype: torch.dtype
    device: torch.device
    batched: bool  # the first axis is a batch of any size from two on

    def example(self, mode: FakeTensorMode, batch_size: int) -> Tensor:
        """A tensor without numbers, of which only the batch size is open."""
        shape = (batch_size, *self.shape) if self.batched else self.shape
        sizes = [DimDynamic.DUCK if self.batched and axis == 0 else DimDynamic.STATIC for axis in range(len(shape))]
        like = torch.empty(shape, dtype=self.dtype, device=self.device)
        return mode.from_tensor(like, symbolic_context=StatelessSymbolicContext(sizes))


def form_of(tensor: Tensor, *, batched: bool) -> Form:
    """The form of a tensor."""
    return Form(tuple(tensor.shape[1:] if batched else tensor.shape), tensor.dtype, tensor.device, batched)


class Graph:
    """A traced function. What it hands through unchanged, or does not look at, is no part of the compiled code.

    Args:
        function: pure, of as many tensors as there are forms.
        forms: of its arguments.
        batch_size: B in the first call.
    """

    def __init__(self, function: Flat, forms: Sequence[Form], batch_size: int) -> None:
        shapes = ShapeEnv()
        mode = FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True)
        with ExitStack() as contexts:
            contexts.enter_context(torch.inference_mode(False))
            contexts.enter_context(torch.no_grad())
            contexts.enter_context(torch.autograd.set_multithreading_enabled(False))
            arguments = [form.example(mode, batch_size) for form in forms]
            contexts.enter_context(mode)
            contexts.enter_context(enable_python_dispatcher())
            traced = make_fx(function)(*arguments)
        self._values: list[Any] = [node if node is None else node.meta["val"] for node in _output(traced).args[0]]
        self._results, self._used = _trim(traced)
        self._run: Callable[..., Sequence[Tensor]] | None = None
        self._guards: list[Any] = []
        self._batch_sizes: dict[int, bool] = {}
        if any(place is not None and place.computed for place in self._results):
            used = [arguments[number] for number in self._used]
            self._run, self._guards = _compiled(traced, used, shapes)

    def result_forms(self) -> list[Form]:
        """The forms of the results, if the batch is the first axis of each."""
        return [
            Form(tuple(value.shape[batched:]), value.dtype, value.device, batched)
            for value in self._values
            for batched in [isinstance(value.shape[0], torch.SymInt)]
        ]

    def fits(self, batch_size: int) -> bool:
        """Whether the code is right for this batch size, too."""
        if batch_size not in self._batch_sizes:
            self._batch_sizes[batch_size] = all(_holds(guard, batch_size) for guard in self._guards)
        return self._batch_sizes[batch_size]

    def __call__(self, arguments: Sequence[Tensor]) -> list[Tensor | None]:
        """The function's results."""
        computed: Sequence[Tensor] = ()
        if self._run is not None:
            # the compiler may leave a result in a part of a larger buffer
            computed = [value.contiguous() for value in self._run(*[arguments[number] for number in self._used])]
        return [
            None if place is None else (computed if place.computed else arguments)[place.number]
            for place in self._results
        ]


class _Place(NamedTuple):
    """Where a result is found: among what the compiled code returns, or among the arguments."""

    computed: bool
    number: int


_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
"""Operators that give what they are given."""


def _output(traced: fx.GraphModule) -> Any:
    return next(node for node in traced.graph.nodes if node.op == "output")


def _trim(traced: fx.GraphModule) -> tuple[list[_Place | None], list[int]]:
    """Leave in a graph just what must be computed; the places of its results, and which arguments it still takes."""
    for node in list(traced.graph.nodes):
        if node.target in _SAME:
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    placeholders = [node for node in traced.graph.nodes if node.op == "placeholder"]
    output = _output(traced)
    numbers = {node: number for number, node in enumerate(placeholders)}
    computed: dict[fx.Node, int] = {}
    results: list[_Place | None] = []
    for node in output.args[0]:
        if node is None:
            results.append(None)
        elif node in numbers:
            results.append(_Place(False, numbers[node]))
        else:
            results.append(_Place(True, computed.setdefault(node, len(computed))))
    output.args = (tuple(computed),)
    traced.graph.set_codegen(CodeGen())
    traced.graph.eliminate_dead_code()
    used = []
    for node, number in numbers.items():
        if node.users:
            used.append(number)
        else:
            traced.graph.erase_node(node)
    traced.recompile()
    return results, used


def _holds(guard: Any, batch_size: int) -> bool:
    """Whether a condition on the one open size, the batch, is met."""
    return bool(guard.subs({symbol: batch_size for symbol in guard.free_symbols}))


# one call in C++ of all kernels of a graph: from Python they take a third longer where they are as small as ours
_OPTIONS = {"cpu": {"cpp_wrapper": True, "size_asserts": False}, "cuda": {"size_asserts": False}}

_COMPILED: dict[Hashable, tuple[Callable[..., Sequence[Tensor]], list[Any]]] = {}
"""Code and its conditions, by graph: cells of one configuration share it."""


def _compiled(
    traced: fx.GraphModule, arguments: Sequence[Tensor], shapes: ShapeEnv
) -> tuple[Callable[..., Sequence[Tensor]], list[Any]]:
    """The code of a graph, and on what conditions on the batch size it holds."""
    forms = tuple((str(tuple(value.shape)), value.dtype, value.device) for value in arguments)
    constants = tuple(id(getattr(traced, str(node.target))) for node in traced.graph.nodes if node.op == "get_attr")
    conditions = tuple(guard.expr for guard in shapes.guards)
    key = (traced.code, forms, constants, conditions, torch.get_num_threads())
    if key not in _COMPILED:
        with torch.inference_mode(False), torch.no_grad():
            run = torch._inductor.compile(traced, list(arguments), options=_OPTIONS[arguments[0].device.type])
        _COMPILED[key] = run, [guard.expr for guard in shapes.guards]
    return _COMPILED[key]
