"""Recorder: look at what happens inside a cell, by name, without changing what it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.core.errors import OptionError, unknown_name
from torchmann.core.state import Tree, named_leaves

_active: Recorder | None = None


def record(module: nn.Module, name: str, value: Tensor) -> None:
    """Offer an internal tensor ``[B, ...]`` of the current step to the active recorder, if there is one."""
    if _active is not None:
        _active.take(module, name, value)


def record_state(module: nn.Module, state: Tree) -> None:
    """Offer the state after the current step, leaf by leaf, as ``state.<leaf>``."""
    if _active is not None:
        for name, leaf in named_leaves(state):
            _active.take(module, f"state.{name}", leaf)
        _active.end_step(module)


class Recorder:
    """Records the internals of a model's steps while it is open.

    Example::

        with Recorder(model) as recorder:
            output, state = model(x)
        recorder["memory.write_weights"]      # [T, B, writes, N]
        recorder["state.memory.usage"]        # [T, B, N], after each step

    A full name is the module's path in the model followed by the internal's name; any unambiguous ending of it will
    do. Values are detached unless ``keep_graph=True``.
    """

    def __init__(self, model: nn.Module, *, keep_graph: bool = False) -> None:
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._frames: dict[str, list[Tensor]] = {}
        self._steps: dict[str, list[int]] = {}
        self._step = 0
        self._keep_graph = keep_graph

    def __enter__(self) -> Recorder:
        global _active
        if _active is not None:
            raise RuntimeError("a Recorder is already open; close it before another is opened.")
        _active = self
        return self

    def __exit__(self, *exception: Any) -> None:
        global _active
        _active = None

    @staticmethod
    def listening() -> bool:
        """Whether a recorder is open and not paused."""
        return _active is not None

    @staticmethod
    @contextmanager
    def paused() -> Iterator[None]:
        """Within this context nothing is recorded: under `vmap` there is no value that could be kept."""
        global _active
        before, _active = _active, None
        try:
            yield
        finally:
            _active = before

    def take(self, module: nn.Module, name: str, value: Tensor) -> None:
        """Append one step's value; called through `record`."""
        path = self._paths.get(id(module))
        if path is None:  # a module outside the recorded model
            return
        full_name = f"{path}.{name}" if path else name
        self._frames.setdefault(full_name, []).append(value if self._keep_graph else value.detach())
        self._steps.setdefault(full_name, []).append(self._step)

    def end_step(self, module: nn.Module) -> None:
        """What is taken from here on belongs to the next step; called through `record_state`."""
        self._step += id(module) in self._paths

    def names(self) -> list[str]:
        """The full names of all that was recorded."""
        return sorted(self._frames)

    def __getitem__(self, name: str) -> Tensor:
        """The recorded values ``[T, B, ...]`` of the internal whose full name is, or ends in, `name`."""
        return torch.stack(self._frames[self._full_name(name)])

    def steps(self, name: str) -> list[int]:
        """The step, counted from 0, of each value under `name`: a memory that rests at a step is not recorded there."""
        return list(self._steps[self._full_name(name)])

    def __contains__(self, name: str) -> bool:
        return any(full == name or full.endswith(f".{name}") for full in self._frames)

    def _full_name(self, name: str) -> str:
        if name in self._frames:
            return name
        matches = [full for full in self._frames if full.endswith(f".{name}")]
        # "usage" means the internal, not the leaf of the recorded state with the same name
        matches = [full for full in matches if ".state." not in f".{full}"] or matches
        if not matches:
            raise unknown_name("recorded name", name, self._frames)
        if len(matches) > 1:
            raise OptionError(f"recorded name {name!r} is ambiguous, one of: {', '.join(sorted(matches))}.")
        return matches[0]
