"""Keep sensitive arithmetic in full precision under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch


def autocast_is_on(device_type: str) -> bool:
    """Whether autocast is at work for `device_type`; never for a type that has none, such as meta."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """A context in which autocast is off for `device_type`; nothing at all where it is off already."""
    return torch.autocast(device_type, enabled=False) if autocast_is_on(device_type) else nullcontext()


class Autocast(NamedTuple):
    """The state of autocast for a type of device, so that something can be computed again under the same."""

    device_type: str
    dtype: torch.dtype | None  # None: it is off

    @classmethod
    def now(cls, device_type: str) -> Autocast:
        """The state at this moment."""
        return cls(device_type, torch.get_autocast_dtype(device_type) if autocast_is_on(device_type) else None)

    def again(self) -> AbstractContextManager[object]:
        """A context with this state, in which no cast weights are kept from outside."""
        if self.dtype is None:
            return without_autocast(self.device_type)
        return torch.autocast(self.device_type, dtype=self.dtype, cache_enabled=False)
