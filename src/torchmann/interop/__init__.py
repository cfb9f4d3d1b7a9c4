"""Weights from and to other code bases."""

from torchmann.interop.torch_recurrent import from_torch, to_torch

__all__ = ["from_torch", "to_torch"]
