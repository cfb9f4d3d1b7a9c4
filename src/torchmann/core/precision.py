"""Keep sensitive arithmetic in full precision under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast_is_on(device_type: str) -> bool:
    """Whether autocast is at work for `device_type`; never for a type that has none, such as meta."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """A context in which autocast is off for `device_type`; nothing at all where it is off already."""
    return torch.autocast(device_type, enabled=False) if autocast_is_on(device_type) else nullcontext()
