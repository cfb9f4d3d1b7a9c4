"""The memory microscope: a page on which a model is watched step by step."""

from torchmann.analysis.microscope.film import Film
from torchmann.analysis.microscope.page import microscope_page

__all__ = ["Film", "microscope_page"]
