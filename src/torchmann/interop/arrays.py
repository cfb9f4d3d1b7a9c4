"""Arrays of other code bases: taken over as tensors, and checked by name and shape before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmann.core.errors import DataError

Shape = tuple[int, ...]


def tensors(arrays: Mapping[str, Any], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Numpy arrays, numbers or tensors as tensors that share no memory with them; floats become `dtype`.

    Raises:
        DataError: something that holds no numbers.
    """
    taken = {}
    for name, value in arrays.items():
        try:
            tensor = value.detach().clone() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
        except TypeError as error:
            raise DataError(f"array {name!r} must hold numbers, got {type(value).__name__}: {error}.") from None
        taken[name] = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
    return taken


def common_dtype(source: str, arrays: Mapping[str, Tensor]) -> torch.dtype:
    """The one float dtype of all arrays.

    Raises:
        DataError: no arrays, a dtype that is no float, or several.
    """
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_floating_point:
        found = ", ".join(sorted(map(str, dtypes))) or "no arrays at all"
        raise DataError(f"the parameters of {source} must be floats of one dtype, got {found}.")
    return next(iter(dtypes))


def check_arrays(
    what: str, arrays: Mapping[str, Tensor], shapes: Mapping[str, Shape], *, partial: bool = False
) -> None:
    """Require exactly the arrays of `shapes`.

    Args:
        what: is checked, for the message.
        arrays: by name.
        shapes: by name.
        partial: allow some to be absent.

    Raises:
        DataError: missing, surplus or misshapen arrays, all of them named.
    """
    complaints = []
    missing = sorted(shapes.keys() - arrays.keys())
    if missing and not partial:
        complaints.append(f"missing {', '.join(missing)}")
    surplus = sorted(arrays.keys() - shapes.keys())
    if surplus:
        complaints.append("surplus " + ", ".join(_suggested(name, shapes) for name in surplus))
    for name in sorted(arrays.keys() & shapes.keys()):
        if tuple(arrays[name].shape) != tuple(shapes[name]):
            complaints.append(f"{name} must be {list(shapes[name])}, got {list(arrays[name].shape)}")
    if complaints:
        raise DataError(f"{what}: {'; '.join(complaints)}. Do the sizes in meta belong to these arrays?")


def _suggested(name: str, known: Mapping[str, Any]) -> str:
    nearest = get_close_matches(name, known, n=1)
    return f"{name} (did you mean {nearest[0]}?)" if nearest else name
