"""Analysis: from what a recorder saw and a run measured to pictures."""

from torchmann.analysis.learning_curve import learning_curve
from torchmann.analysis.length_curve import LengthCurve, length_curves, length_figure
from torchmann.analysis.memorisation import (
    brute_force_bounds,
    contributions,
    fitted_decay,
    memorisation_bound,
    memorised,
    optimal_write_steps,
    writing_steps,
)
from torchmann.analysis.memorisation_figure import memorisation_figure
from torchmann.analysis.microscope import Film, microscope_page
from torchmann.analysis.moments import films
from torchmann.analysis.run_pictures import draw_run
from torchmann.analysis.sample import Sample, record_sample
from torchmann.analysis.sample_figure import sample_figure

__all__ = [
    "Film",
    "LengthCurve",
    "Sample",
    "brute_force_bounds",
    "contributions",
    "draw_run",
    "films",
    "fitted_decay",
    "learning_curve",
    "length_curves",
    "length_figure",
    "memorisation_bound",
    "memorisation_figure",
    "memorised",
    "microscope_page",
    "optimal_write_steps",
    "record_sample",
    "sample_figure",
    "writing_steps",
]
