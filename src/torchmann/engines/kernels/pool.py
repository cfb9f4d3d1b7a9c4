"""Large buffers that are used again: fresh pages cost a kernel more than what it writes into them.

The system hands out pages zeroed, one fault each; a tape of a hundred megabytes that is given back after each
iteration would cost tens of thousands of faults in the next.
"""

from __future__ import annotations

import mmap
import weakref

import torch
from torch import Tensor

KEPT = 4
"""Free buffers that are kept, the newest ones."""

_free: list[mmap.mmap] = []


def buffer(count: int, dtype: torch.dtype) -> Tensor:
    """An uninitialised tensor of `count` numbers, which goes back to the pool when nothing refers to it any more."""
    size = max(1, count) * dtype.itemsize
    memory = _taken(size)
    view = memoryview(memory)
    weakref.finalize(view, _give_back, memory).atexit = False
    return torch.frombuffer(view, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _taken(size: int) -> mmap.mmap:
    """The smallest free buffer that is large enough and not far too large, or a new one."""
    for memory in sorted(_free, key=len):
        if size <= len(memory) <= 2 * size + mmap.PAGESIZE:
            try:
                _free.remove(memory)
            except ValueError:  # another thread has taken it
                continue
            return memory
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not shared with a forked process
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _give_back(memory: mmap.mmap) -> None:
    _free.append(memory)
    del _free[:-KEPT]
