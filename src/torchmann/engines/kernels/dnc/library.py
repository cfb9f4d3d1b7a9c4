"""The C++ kernel as Python sees it: its problem, field by field, and its entry points.

The structure mirrors ``cpp/problem.hpp``, whose comments say what the fields are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch

from torchmann.engines.kernels.build import KernelUnavailable, built

SIZES = ("members", "steps", "batch", "input", "hidden", "heads", "slots", "width", "blocks")
OPTIONS = (
    "controller",
    "carry_normalised",
    "relu",
    "output_norm",
    "feedback",
    "links",
    "softmax_allocation",
    "oneplus",
    "tanh_keys",
    "usage_gradient",
    "gated",
)
CONTROLLERS = ("lstm", "layer_norm_lstm", "gru", "elman")
LIMITS = ("clip_state", "clip_interface", "norm_epsilon", "output_norm_epsilon", "epsilon", "usage_floor")
LEAVES = ("h", "c", "reads", "memory", "usage", "write_weights", "read_weights", "precedence", "link")
WEIGHTS = (
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "gain",
    "shift",
    "norm_gain",
    "norm_shift",
    "interface",
    "interface_bias",
)
READS, WRITES = 1, 2

_Leaves = ctypes.c_void_p * len(LEAVES)
_Weights = ctypes.c_void_p * len(WEIGHTS)


class Problem(ctypes.Structure):
    """What the kernel is asked to do."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in (*SIZES, *OPTIONS, "keep", "interval", "threads")),
        *((name, ctypes.c_double) for name in LIMITS),
        *((name, ctypes.c_void_p) for name in ("x", "kinds", "lengths", "reset")),
        ("weight", _Weights),
        ("state", _Leaves),
        ("fresh", _Leaves),
        *((name, ctypes.c_void_p) for name in ("output", "reads")),
        ("final", _Leaves),
        *((name, ctypes.c_void_p) for name in ("tape", "scratch", "d_output", "d_reads")),
        ("d_final", _Leaves),
        ("d_x", ctypes.c_void_p),
        ("d_weight", _Weights),
        ("d_state", _Leaves),
        ("d_fresh", _Leaves),
    )


class Sizes(ctypes.Structure):
    """How many numbers the interface vector, the tape and the scratch of either pass take."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("interface", "tape", "forward_scratch", "backward_scratch"))


@cache
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """The kernel for float32 or float64.

    Raises:
        KernelUnavailable: it cannot be built here.
    """
    real = {torch.float32: "float", torch.float64: "double"}[dtype]
    loaded = built(Path(__file__).parent / "cpp", "kernel.cpp", {"DNC_REAL": real})
    loaded.dnc_problem_bytes.restype = ctypes.c_int64
    for name in ("dnc_forward", "dnc_backward", "dnc_sizes"):
        getattr(loaded, name).restype = None
    if loaded.dnc_problem_bytes() != ctypes.sizeof(Problem):
        raise KernelUnavailable("the kernel was built from other sources than these: empty the cache of kernels.")
    return loaded


def sizes_of(problem: Problem, dtype: torch.dtype) -> Sizes:
    """What the problem takes."""
    sizes = Sizes()
    library(dtype).dnc_sizes(ctypes.byref(problem), ctypes.byref(sizes))
    return sizes
