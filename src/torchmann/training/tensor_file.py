"""Tensor files: a tree of tensors and plain values in one safetensors file, with a checksum and without pickled code.

The tensors lie in the file under their dotted paths, e.g. ``training.model.body.cell.memory.bias``, for any program
that reads safetensors. The metadata has the rest of the tree as JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from torchmann.core.atomic import write_atomically
from torchmann.core.errors import DataError
from torchmann.core.packing import pack, unpack

KIND = "$"
"""The key that marks what JSON does not know: a tensor, a tuple, a dictionary with keys that are no strings."""


def save_tree(path: Path, tree: Any) -> None:
    """Write or replace a tensor file in one move (`write_atomically`).

    Args:
        path: of the file.
        tree: dictionaries, lists, tuples, tensors, strings, numbers, booleans and None.

    Raises:
        TypeError: anything else in the tree.
        OSError: it cannot be written; what was there before stays.
    """
    tensors: dict[str, Tensor] = {}
    encoded = _encode(tree, "", tensors)
    write_atomically(path, pack(tensors, {"tree": encoded}))


def load_tree(path: Path) -> Any:
    """The tree that `save_tree` stored, with its tensors on the CPU.

    Raises:
        DataError: the file is damaged, is another one, or cannot be read.
    """
    tensors, values = unpack(path)
    try:
        return _decode(values["tree"], tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no tree of tensors: it was not written by a run.") from error


def _encode(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """`tree` in the values that JSON knows; its tensors go to `tensors` under their dotted paths."""
    if isinstance(tree, Tensor):
        while path in tensors:  # {"a.b": tensor, "a": {"b": tensor}}
            path += "'"
        tensors[path] = tree
        return {KIND: "tensor", "name": path}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree

    def inside(key: object, value: Any) -> Any:
        return _encode(value, f"{path}.{key}" if path else str(key), tensors)

    if isinstance(tree, dict):
        if all(isinstance(key, str) for key in tree) and KIND not in tree:
            return {key: inside(key, value) for key, value in tree.items()}
        return {KIND: "dict", "items": [[key, inside(key, value)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        items = [inside(key, value) for key, value in enumerate(tree)]
        return items if isinstance(tree, list) else {KIND: "tuple", "items": items}
    raise TypeError(f"a tensor file holds tensors and plain values, {path or 'the tree'} is a {type(tree).__name__}.")


def _decode(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `_encode`; the tensors are copies with memory of their own."""
    if isinstance(tree, list):
        return [_decode(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(KIND)
    if kind == "tensor":
        return tensors[tree["name"]].clone()
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in tree["items"])
    if kind == "dict":
        return {key: _decode(item, tensors) for key, item in tree["items"]}
    return {key: _decode(item, tensors) for key, item in tree.items()}
