"""Packing: tensors by name and plain values in one safetensors file, with a checksum and without pickled code.

The tensors keep their names for any program that reads safetensors. The metadata has one text, JSON with the values;
one, because safetensors writes several in no fixed order, and equal content shall give equal files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from torchmann.core.errors import DataError

METADATA, CHECKSUM = "torchmann", "checksum"
"""The key of the text in the metadata, and of the checksum in the text."""

BLANK = "0" * 32
"""What stands in the place of the checksum when it is computed: it is that of the whole file."""


def pack(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bytes:
    """The content of a file.

    Args:
        tensors: of any device; they are copied.
        values: whatever JSON can say, by key.
    """
    # copies, because safetensors refuses tensors that share memory
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    text = json.dumps({CHECKSUM: BLANK, **values})
    content = bytearray(safetensors.torch.save(copies, {METADATA: text}))
    content[_place_of_checksum(content)] = _checksum(content).encode()
    return bytes(content)


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the values of a file that holds what `pack` gave.

    Raises:
        DataError: the file is damaged, is another one, or cannot be read.
    """
    try:
        content = bytearray(path.read_bytes())
        header_size = int.from_bytes(content[:8], "little")
        values = json.loads(json.loads(content[8 : 8 + header_size])["__metadata__"][METADATA])
        stored = values.pop(CHECKSUM)
        content[_place_of_checksum(content)] = BLANK.encode()
        if _checksum(content) != stored:
            raise DataError(f"{path} is damaged: its checksum does not fit its content.")
        return safetensors.torch.load(bytes(content)), values
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SafetensorError) as error:
        raise DataError(f"{path} is damaged, or is no tensor file of torchmann.") from error


def _place_of_checksum(content: bytearray) -> slice:
    """Where the checksum stands in the header: it comes first in the text, in which quotation marks are escaped."""
    mark = rf"{{\"{CHECKSUM}\": \"".encode()
    start = content.index(mark) + len(mark)
    return slice(start, start + len(BLANK))


def _checksum(content: bytes | bytearray) -> str:
    return hashlib.blake2b(content, digest_size=len(BLANK) // 2).hexdigest()
