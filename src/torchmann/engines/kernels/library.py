"""A C++ kernel as Python sees it: its problem, field by field, and its entry points.

The structure of a kernel mirrors its ``cpp/problem.hpp``, whose comments say what the fields are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch

from torchmann.engines.kernels.build import KernelUnavailable, built
from torchmann.engines.kernels.kernel import Kernel

SHARED = Path(__file__).parent / "cpp"


class Sizes(ctypes.Structure):
    """How many numbers the tape and the scratch of either pass take."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("tape", "forward_scratch", "backward_scratch"))


@cache
def problem_type(kernel: Kernel) -> type[ctypes.Structure]:
    """The structure by which a kernel is told what to do; one of C++ has no field where there are no names."""
    pointer = ctypes.c_void_p
    weights, leaves = pointer * len(kernel.weights), pointer * len(kernel.leaves)
    outputs, noise = pointer * len(kernel.outputs), pointer * len(kernel.noise)
    integers = ("members", "steps", "batch", "input", *kernel.sizes, *kernel.options, "keep", "threads")
    fields = (
        *((name, ctypes.c_int64) for name in integers),
        *((name, ctypes.c_double) for name in kernel.limits),
        *((name, pointer) for name in ("x", "kinds", "lengths", "reset")),
        *(("weight", weights), ("noise", noise), ("state", leaves), ("fresh", leaves)),
        *(("output", outputs), ("final", leaves), ("tape", pointer), ("scratch", pointer)),
        *(("d_output", outputs), ("d_final", leaves)),
        *(("d_x", pointer), ("d_weight", weights), ("d_state", leaves), ("d_fresh", leaves)),
    )
    return type(f"{kernel.name}Problem", (ctypes.Structure,), {"_fields_": fields})


@cache
def library(kernel: Kernel, dtype: torch.dtype) -> ctypes.CDLL:
    """The kernel for float32 or float64.

    Raises:
        KernelUnavailable: it cannot be built here.
    """
    real = {torch.float32: "float", torch.float64: "double"}[dtype]
    loaded = built(kernel.name, kernel.sources / "kernel.cpp", SHARED, {"KERNEL_REAL": real})
    loaded.kernel_problem_bytes.restype = ctypes.c_int64
    for name in ("kernel_forward", "kernel_backward", "kernel_sizes"):
        getattr(loaded, name).restype = None
    if loaded.kernel_problem_bytes() != ctypes.sizeof(problem_type(kernel)):
        raise KernelUnavailable("the kernel was built from other sources than these: empty the cache of kernels.")
    return loaded


def sizes_of(kernel: Kernel, problem: ctypes.Structure, dtype: torch.dtype) -> Sizes:
    """What the problem takes."""
    sizes = Sizes()
    library(kernel, dtype).kernel_sizes(ctypes.byref(problem), ctypes.byref(sizes))
    return sizes
