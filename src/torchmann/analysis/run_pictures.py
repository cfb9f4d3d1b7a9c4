"""The pictures of a run."""

from __future__ import annotations

from pathlib import Path

from torchmann.analysis.learning_curve import learning_curve
from torchmann.analysis.sample import record_sample
from torchmann.analysis.sample_figure import sample_figure
from torchmann.analysis.style import save
from torchmann.training import RunDirectory, load_run


def draw_run(directory: RunDirectory) -> dict[Path, str]:
    """Draw what a run has learnt into its directory: a test sequence, one beyond the trained sizes, the learning curve.

    Returns:
        What each picture shows, by its path.

    Raises:
        DataError: a file of the run is missing or damaged.
        OSError: a picture cannot be written.
    """
    config, task, model = load_run(directory)
    name = f"{config.model.name} on {config.task.name}"
    pictures = {}
    for file, label, sized in [("sample", "", task), *(("longer", key, value) for key, value in task.longer().items())]:
        path = directory.pictures / f"{file}.png"
        if path in pictures:  # one longer sequence will do
            continue
        sample = record_sample(model, sized)
        shown = f"a test sequence, {label}, beyond the trained sizes" if label else "a test sequence"
        right = f"{sample.accuracy():.1%} of its {'words' if sample.words else 'bits'} right"
        save(sample_figure(sample, f"{name}: {shown}, {right}"), path)
        pictures[path] = f"{shown}, and the inside of the model at each step"
    measurements = directory.measurements()
    if measurements:
        path = directory.pictures / "learning_curve.png"
        save(learning_curve(measurements, task.metric, f"{name}: learning curve"), path)
        pictures[path] = "loss and accuracy during training"
    return pictures
