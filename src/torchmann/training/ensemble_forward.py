"""The forward pass of several models of one kind at once: each has its own weights and inputs, one `vmap` runs all.

A small model's time goes into starting operations, not into computing; S models together start as many as one does.

Shapes: S members, T time, B batch, R = S B rows, O output.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from torchmann.core.cell import DENSE
from torchmann.core.state import Tree, map_leaves
from torchmann.engines import Recurrent
from torchmann.memories import DenseFrom
from torchmann.models import SequenceModel
from torchmann.training.ensemble_cell import MembersCell
from torchmann.training.streams import recurrent_body

WITHIN_VMAP = ("auto", "eager", "fused")
"""Engines that run a sequence within `vmap`. For the others the members' cells become one, with `vmap` in its step."""

ONE_BY_ONE = ("lightweight", "sparse")
"""Engines that know a cell by its parts, and so can run neither."""


class Call(NamedTuple):
    """How one member's model is called: ``model(inputs, noise=noise, **options)``.

    Attributes:
        member: which one.
        inputs: ``[T, B, ...]``; members may differ in T.
        noise: of every step, ``[T, B, ...]`` in each leaf; None is without.
        options: those of `Carried.options`.
        carries: the state after it is wanted.
    """

    member: int
    inputs: Tensor
    noise: Tree
    options: Mapping[str, Any]
    carries: bool

    @property
    def ragged(self) -> bool:
        """Rows end at different steps."""
        return int(self.options["lengths"].min()) < len(self.inputs)


Result = tuple[Tensor, Tree]
"""Of a call: the output ``[T, B, O]`` and, if wanted, the state."""


class Together:
    """Runs models that are equal but for the values of their parameters and buffers.

    Args:
        models: each with a `Recurrent` body.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = list(models)
        self.bodies = [body for model in models if (body := recurrent_body(model)) is not None]
        self.cells = [body.cell for body in self.bodies]
        self._cell = MembersCell(self.cells[0], len(models))
        self._body = Recurrent(self._cell, engine=self.bodies[0].engine)

    def __call__(self, calls: Sequence[Call]) -> list[Result]:
        """What each call gives, as if made alone.

        Members whose calls ask for the same kinds of steps run together, the others by themselves. A member with a
        shorter sequence runs on through padding, of which nothing is seen.
        """
        groups: dict[Hashable, list[int]] = {}
        for number, call in enumerate(calls):
            groups.setdefault(self._kind(call) or ("alone", number), []).append(number)
        results: dict[int, Result] = {}
        for numbers in groups.values():
            group = [calls[number] for number in numbers]
            results |= zip(numbers, self._run(group), strict=True)
        return [results[number] for number in range(len(calls))]

    def _kind(self, call: Call) -> Hashable:
        """What calls must have in common to run together; None is a call that must be alone."""
        if call.carries and call.ragged:
            return None  # a state would run on through the padding
        options, steps = call.options, len(call.inputs)
        start = options.get("start", 0)
        dense = set(self.cells[call.member].schedule(steps, start)) == {DENSE}
        decode_from = None if dense else options["decode_from"]
        length = steps if call.carries else None
        return tuple(call.inputs.shape[1:]), length, start, "state" in options, dense, decode_from

    def _run(self, calls: Sequence[Call]) -> list[Result]:
        """The results of calls of one kind."""
        if len(calls) == 1:
            [call] = calls
            return [self.models[call.member](call.inputs, noise=call.noise, **call.options)]
        steps = max(len(call.inputs) for call in calls)
        run = self._within_vmap if self.bodies[0].engine in WITHIN_VMAP else self._as_one_cell
        # Lengths are not told: what comes after a row's end cannot reach what is before it.
        output_TSBO, states = run(calls, steps)
        if any(call.ragged or len(call.inputs) < steps for call in calls):
            lengths_SB = torch.stack([call.options["lengths"] for call in calls])
            running_TSB = (torch.arange(steps).view(-1, 1, 1) < lengths_SB).to(output_TSBO.device)
            output_TSBO = torch.where(running_TSB.unsqueeze(-1), output_TSBO, 0)
        return [
            (output_TSBO[: len(call.inputs), place], map_leaves(operator.itemgetter(place), states))
            for place, call in enumerate(calls)
        ]

    def _within_vmap(self, calls: Sequence[Call], steps: int) -> Result:
        """Outputs ``[T, S, B, O]`` and states ``[S, B, ...]``, by a call of one of the models within `vmap`."""
        models, options = [self.models[call.member] for call in calls], calls[0].options
        fixed = {name: options[name] for name in ("start", "decode_from") if name in options}

        def run(tensors: dict[str, Tensor], inputs: Tensor, noise: Tree, state: Tree) -> Any:
            output, after = functional_call(models[0], tensors, (inputs, state), fixed | {"noise": noise})
            return output, after if calls[0].carries else ()  # no None comes out of a vmap

        inputs_TSB, noise, state = _together(calls, steps)
        axes = (0, 1, _axes(noise, 1), _axes(state, 0))
        return vmap(run, in_dims=axes, out_dims=(1, 0))(stacked(models), inputs_TSB, noise, state)

    def _as_one_cell(self, calls: Sequence[Call], steps: int) -> Result:
        """The same by the models' engine, for which all cells are one.

        There are always as many members, so that an engine that compiles does so once: in the places of those that do
        not take part the first one is run again.
        """
        taking_part, options = len(calls), calls[0].options
        calls = [*calls, *[calls[0]] * (len(self.models) - taking_part)]
        models, cells = [self.models[call.member] for call in calls], [self.cells[call.member] for call in calls]
        self._cell.take(stacked(cells))
        inputs_TSB, noise, state = _together(calls, steps)
        encoded_TSBI = _each([_part(model, "encoder") for model in models], inputs_TSB)
        output_TRO, after = self._body(
            encoded_TSBI.flatten(1, 2),
            _rows(state, 0),
            noise=_rows(noise, 1),
            start=options.get("start", 0),
            schedule=None if (step := options["decode_from"]) is None else DenseFrom(cells[0], step),
        )
        output_TSBO = _each([_part(model, "head") for model in models], output_TRO.unflatten(1, inputs_TSB.shape[1:3]))
        states = map_leaves(lambda leaf: leaf.unflatten(0, inputs_TSB.shape[1:3]), after)
        return output_TSBO[:, :taking_part], states


def stacked(modules: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The parameters and buffers of modules by name, ``[S, ...]`` each; gradients go back to the modules' own.

    (`torch.func.stack_module_state` cuts them off from the modules.)
    """
    members = [dict(module.named_parameters()) | dict(module.named_buffers()) for module in modules]
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


def padded(sequence_T: Tensor, steps: int) -> Tensor:
    """``[T, ...]`` with zeros behind it, so that it has so many steps."""
    missing = steps - len(sequence_T)
    return F.pad(sequence_T, (0, 0) * (sequence_T.dim() - 1) + (0, missing)) if missing else sequence_T


def _together(calls: Sequence[Call], steps: int) -> tuple[Tensor, Tree, Tree]:
    """Inputs and noise ``[T, S, B, ...]``, padded to so many steps, and states ``[S, B, ...]`` of calls."""
    inputs_TSB = torch.stack([padded(call.inputs, steps) for call in calls], dim=1)
    noise = map_leaves(
        lambda *leaves: torch.stack([padded(leaf, steps) for leaf in leaves], dim=1), *[call.noise for call in calls]
    )
    states = [call.options.get("state") for call in calls]
    return inputs_TSB, noise, map_leaves(lambda *leaves: torch.stack(leaves), *states)


def _axes(tree: Tree, axis: int) -> Tree:
    """That axis for each leaf."""
    return map_leaves(lambda _: axis, tree)


def _rows(tree: Tree, axis: int) -> Tree:
    """``[S, B]`` from that axis on as rows, in each leaf."""
    return map_leaves(lambda leaf: leaf.flatten(axis, axis + 1), tree)


def _part(model: nn.Module, name: str) -> nn.Module:
    """What a `SequenceModel` has before or behind its body; nothing in another model, which is the body."""
    return getattr(model, name) if isinstance(model, SequenceModel) else nn.Identity()


def _each(modules: Sequence[nn.Module], inputs_TSB: Tensor) -> Tensor:
    """``[T, S, B, ...]``, every member's part through its own module."""
    return vmap(partial(functional_call, modules[0]), in_dims=(0, 1), out_dims=1)(stacked(modules), inputs_TSB)
