"""Models as files: the weights as safetensors, the keywords that the model is made from as JSON, and no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError, OptionError
from torchmann.core.packing import pack, unpack
from torchmann.core.references import references_of
from torchmann.core.version import __version__
from torchmann.engines.engine import check_engine
from torchmann.models.keywords import BY_HAND, decoded, encoded
from torchmann.models.registry import MODELS, build, model_named
from torchmann.models.sequence import SequenceModel

FORMAT = 1
"""Number of the layout of the files; it grows when an older torchmann could not read a newer file."""

BUILD = "build"
"""Stands for `torchmann.models.build` where other files have the name of a model."""


def save(model: nn.Module, path: str | Path) -> None:
    """Write a model into a file from which `load` makes it again: equal keywords, parameters and buffers.

    Any program that reads safetensors can read the tensors. The file is written or replaced in one move.

    Args:
        model: of one of the classes in `torchmann.models`, or made by `torchmann.models.build`.
        path: of the file, by custom with the ending ``.safetensors``.

    Raises:
        OptionError: the model was composed or changed by hand, or a keyword of it cannot be stored.
        OSError: the file cannot be written; what was there before stays.
    """
    write_atomically(Path(path), packed(model))


def packed(model: nn.Module) -> bytes:
    """The content of the file that `save` writes.

    Raises:
        OptionError: as `save`.
    """
    name = _name_of(model)
    config = {key: encoded(key, value) for key, value in vars(model)["config"].items()}
    body: Any = model.body if isinstance(model, SequenceModel) else model
    with torch.device("meta"), torch.random.fork_rng(devices=[]):  # the same model without its numbers
        twin = _make(name, json.loads(json.dumps(config)), body.engine)
    if str(twin) != str(model) or _shapes(twin.state_dict()) != _shapes(model.state_dict()):
        raise OptionError(f"this {type(model).__name__} has been changed since it was made: {BY_HAND}.")
    values = {
        "format": FORMAT,
        "model": name,
        "config": config,
        "versions": {"torchmann": __version__, "torch": str(torch.__version__)},
        "citation": references_of(model),
    }
    return pack(model.state_dict(), values)


def load(
    path: str | Path,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    engine: str = "auto",
) -> Any:
    """The model that `save` has stored, in training mode as every new model is.

    Args:
        path: of the file.
        device: of the parameters; None is the CPU.
        dtype: of the floating point parameters; None is what it was.
        engine: how the cell is unrolled.

    Raises:
        DataError: the file cannot be read, is damaged, holds no model, or one that this version cannot make.
        OptionError: unknown engine.
    """
    tensors, values = unpack(Path(path))
    check_engine(engine)
    _check_format(path, values)
    try:
        with torch.random.fork_rng(devices=[]):
            model = _make(values["model"], values["config"], engine)
    except (TypeError, ValueError) as error:
        reason, here = " ".join(str(error).split()), __version__
        raise DataError(f"{path} holds a model that torchmann {here} cannot make: {reason}") from error
    fill(model, tensors, path)
    return model.to(device=device, dtype=dtype)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Give a model the numbers that a file holds, in their own precision.

    Args:
        model: is filled.
        tensors: by name, as its `state_dict`.
        path: of the file, for the error.

    Raises:
        DataError: they are those of another model.
    """
    own = model.state_dict(keep_vars=True)
    wanted, there = _shapes(own), _shapes(tensors)
    differing = [name for name in wanted | there if wanted.get(name) != there.get(name)]
    if differing:
        names = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if differing[3:] else "")
        raise DataError(f"{path} does not fit the model: {names} are missing, surplus or of another shape.")
    precisions = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
    if len(precisions) == 1:
        model.to(precisions.pop())  # the buffers that are not stored, too
    for name, tensor in own.items():
        tensor.data = tensors[name].to(tensor.device)


def _name_of(model: nn.Module) -> str:
    """What makes such a model: a name in the registry, or `BUILD`."""
    kind = type(model)
    names = {made: name for name, made in MODELS.items()} | {SequenceModel: BUILD}
    if kind not in names or "config" not in vars(model):
        raise OptionError(
            f"a {kind.__name__} that is not made by a model of torchmann.models or by torchmann.models.build cannot be "
            f"made again from a file: {BY_HAND}."
        )
    return names[kind]


def _make(name: str, config: Mapping[str, Any], engine: str) -> nn.Module:
    keywords = {key: decoded(value) for key, value in config.items()}
    make: Any = build if name == BUILD else model_named(name)
    return make(**keywords, engine=engine)


def _check_format(path: str | Path, values: Mapping[str, Any]) -> None:
    if not {"format", "model", "config", "versions"} <= values.keys():
        raise DataError(f"{path} holds no model: it was not written by torchmann.save.")
    if values["format"] != FORMAT:
        raise DataError(
            f"{path} was written by torchmann {values['versions']['torchmann']} in format {values['format']}, and this "
            f"is torchmann {__version__}, which reads format {FORMAT}: upgrade torchmann."
        )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
