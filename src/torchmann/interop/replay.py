"""Replay a recorded run of another code base on our model: the same arrays in, the arrays that it should give out.

Shapes: T time, B batch, O output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmann.core.errors import DataError, unknown_name
from torchmann.interop.arrays import check_arrays, tensors
from torchmann.interop.source_model import Arrays, SourceModel
from torchmann.interop.sources import SOURCES

GROUPS = ("param", "const", "input", "initial_state", "noise")


def from_source(
    source: str,
    params: Mapping[str, Any],
    meta: Mapping[str, Any] | str,
    constants: Mapping[str, Any] | None = None,
) -> SourceModel:
    """One of our models from the arrays of another code base.

    Args:
        source: the code base, one of `torchmann.interop.SOURCES`.
        params: its arrays (numpy or torch) by its own names.
        meta: its ``sizes`` and ``options``, as a mapping or as JSON.
        constants: its fixed numbers where they are not its own defaults: a clip, an epsilon.

    Returns:
        The model, with import and export of parameters, gradients and states in the source's names.

    Raises:
        OptionError: unknown source.
        DataError: missing, surplus or misshapen arrays, a size or an option that is absent or can't be honoured.
    """
    if source not in SOURCES:
        raise unknown_name("source", source, SOURCES)
    known: dict[str, Any] = dict(tensors(constants or {}))
    numbers = {name: value.item() if value.dim() == 0 else value for name, value in known.items()}
    return SOURCES[source](tensors(params), described(meta), numbers)


def replay(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Run our model on a recorded case.

    Args:
        arrays: ``meta`` (JSON), ``param/*``, ``const/*``, ``input`` or ``input/*`` ``[T, B, I]``, ``initial_state/*``
            ``[B, ...]``, ``noise/*`` and ``G`` ``[T, B, O]``; other keys are not read.

    Returns:
        ``output`` ``[T, B, O]``, ``state/*`` ``[T, B, ...]`` after each step, and ``grad/*``: the gradient of
        ``sum(output * G)`` with respect to each parameter, the input, and what was fed as initial state.

    Raises:
        OptionError: unknown source.
        DataError: missing, surplus or misshapen arrays.
    """
    meta = described(_required(arrays, "meta"))
    groups = {group: _group(arrays, group) for group in GROUPS}
    theirs = from_source(str(meta.get("source")), groups["param"], meta, groups["const"])
    inputs, fed, noise = (tensors(groups[name], theirs.dtype) for name in ("input", "initial_state", "noise"))
    weights = tensors({"G": _required(arrays, "G")}, theirs.dtype)["G"]
    batch_size = _checked_inputs(theirs, inputs, noise)

    state, leaves = _fed(theirs, fed, batch_size, noise)
    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    output, states = theirs.run(inputs, state, noise)
    check_arrays("weights of the output", {"G": weights}, {"G": tuple(output.shape)})
    (output * weights).sum().backward()

    gradients: dict[str, Tensor | None] = dict(theirs.export_gradients())
    gradients |= {f"input/{name}" if name != "input" else name: value.grad for name, value in inputs.items()}
    if theirs.start_gradients:
        gradients |= {f"initial_state/{name}": leaf.grad for name, leaf in leaves.items()}
    found = {"output": output} | {f"state/{name}": value for name, value in states.items()}
    found |= {f"grad/{name}": value for name, value in gradients.items() if value is not None}
    return {name: value.detach().numpy() for name, value in found.items()}


def described(meta: Any) -> dict[str, Any]:
    """The description of a case, from a mapping, JSON, or an array that holds JSON.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(meta, Mapping):
        return dict(meta)
    try:
        parsed = json.loads(str(meta))
    except json.JSONDecodeError as error:
        raise DataError(f"meta must be JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise DataError(f"meta must be a JSON object, got {type(parsed).__name__}.")
    return parsed


def _required(arrays: Mapping[str, Any], key: str) -> Any:
    if key not in arrays:
        raise DataError(f"{key!r} is missing: a case has meta, param/*, const/*, input, initial_state/*, noise/*, G.")
    return arrays[key]


def _group(arrays: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The arrays under ``group/`` by the rest of their key, and the one that is called as the group."""
    inside = {key.removeprefix(f"{group}/"): arrays[key] for key in arrays if key.startswith(f"{group}/")}
    return inside | ({group: arrays[group]} if group in arrays else {})


def _checked_inputs(theirs: SourceModel, inputs: Arrays, noise: Arrays) -> int:
    """B, once the input sequences are those of the source and have its features."""
    lengths = {name: value.shape[:2] for name, value in inputs.items() if value.dim() == 3}
    batch_size = next((own for _, own in lengths.values()), 1)
    shapes = {name: (lengths.get(name, (1, 1))[0], batch_size, theirs.model.input_size) for name in theirs.inputs}
    check_arrays(f"input of {theirs.source}", inputs, shapes)
    if not all(value.is_floating_point() for value in inputs.values()):
        dtypes = ", ".join(str(value.dtype) for value in inputs.values())
        raise DataError(f"the input of {theirs.source} must be floats, got {dtypes}.")
    unknown = sorted(set(noise) - set(theirs.noises))
    if unknown:
        raise DataError(
            f"{theirs.source} records no noise {unknown[0]!r}; known: {', '.join(theirs.noises) or 'none'}."
        )
    return batch_size


def _fed(theirs: SourceModel, given: Arrays, batch_size: int, noise: Arrays) -> tuple[Any, Arrays]:
    """The state before the first step, and the leaves of it that were fed.

    What the source makes of its parameters may be recorded for convenience; it is made anew here, so that the
    gradient reaches these parameters.
    """
    own = theirs.export_state(theirs.start(batch_size, noise))
    leaves = {}
    for name, value in given.items():
        made_of_parameters = name in own and own[name].requires_grad and own[name].shape == value.shape
        if not (made_of_parameters and torch.allclose(own[name], value, rtol=1e-4, atol=1e-6)):
            leaves[name] = value.requires_grad_()
    return theirs.import_state(leaves, batch_size=batch_size, noise=noise), leaves
