"""Analysis: from what a recorder saw and a run measured to pictures."""

from torchmann.analysis.learning_curve import learning_curve
from torchmann.analysis.run_pictures import draw_run
from torchmann.analysis.sample import Sample, record_sample
from torchmann.analysis.sample_figure import sample_figure

__all__ = ["Sample", "draw_run", "learning_curve", "record_sample", "sample_figure"]
