"""One seed for a whole run: initial weights, batches and noise follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

HELD_OUT_SEED = 0
"""Of all validation and test batches, so that every run is measured on the same sequences."""


@contextmanager
def initialisation(seed: int) -> Iterator[None]:
    """Parameters made inside depend on `seed` alone; the caller's random numbers go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def refreshing_stream(seed: int, iteration: int, device: torch.device) -> torch.Generator:
    """Which steps an iteration reproduces: a stream of its own for each iteration, so that a run can go on anywhere."""
    digest = hashlib.blake2b(f"{seed}/refreshing/{iteration}".encode(), digest_size=4).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big"))


def noise_generator(seed: int, device: torch.device) -> torch.Generator:
    """The source of the noise that a stochastic cell needs; its stream is not that of the initial weights."""
    digest = hashlib.blake2b(f"{seed}/noise".encode(), digest_size=4).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big"))
