"""The ``torchmann`` command."""

from torchmann.cli.main import main

__all__ = ["main"]
