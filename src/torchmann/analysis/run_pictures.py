"""The pictures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torchmann.analysis.learning_curve import learning_curve
from torchmann.analysis.length_curve import length_curves, length_figure
from torchmann.analysis.microscope import microscope_page
from torchmann.analysis.moments import films, kept_moments, longer_films
from torchmann.analysis.sample_figure import sample_figure
from torchmann.analysis.style import save
from torchmann.core import OptionError
from torchmann.core.errors import unknown_name
from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training import Measurement, RunDirectory, load_run
from torchmann.training.run_directory import LENGTH_CURVE, PICTURES

MICROSCOPE = "microscope.html"
FORMATS = ("png", "pdf", "svg")


def draw_run(
    directory: RunDirectory, *, format: Literal["png", "pdf", "svg"] = "png", dpi: int = 150
) -> dict[Path, str]:
    """Draw what a run has learnt into its directory.

    The memory microscope is a page for a browser; the others are pictures: a test sequence, one beyond the trained
    sizes, the length-generalisation curve, whose data is kept too, and the learning curve.

    Args:
        directory: of the run.
        format: of the pictures; ``"pdf"`` and ``"svg"`` are for print.
        dpi: dots per inch of a PNG, and of the images within the others.

    Returns:
        What each picture shows, by its path.

    Raises:
        OptionError: unknown format, or `dpi` below 10.
        DataError: a file of the run is missing or damaged.
        OSError: a picture cannot be written.
    """
    if format not in FORMATS:
        raise unknown_name("format of pictures", format, FORMATS)
    if dpi < 10:
        raise OptionError(f"dpi must be at least 10 dots per inch, got {dpi}.")
    config, task, model = load_run(directory)
    name, measurements = f"{config.model.name} on {config.task.name}", directory.measurements()
    refreshed = config.settings.refresh_probability > 0
    moments = kept_moments(directory, config, task, model)
    trained = films(model, task, moments, refreshed=refreshed)
    longer = longer_films(model, task, moments, refreshed=refreshed)
    facts = _facts(model, task, measurements, config.settings.refresh_probability)
    page = microscope_page(name, facts, [*trained, *longer])
    directory.write(f"{PICTURES}/{MICROSCOPE}", page)
    curves = length_curves(model, task, config.task)
    if curves:
        directory.write_json(LENGTH_CURVE, [curve.to_dict() for curve in curves])

    pictures = {directory.pictures / MICROSCOPE: "the memory at work, step by step: open it in a browser"}
    for file, film in zip(("sample", "longer"), [trained[0], *longer[:1]], strict=False):
        path = directory.pictures / f"{file}.{format}"
        save(sample_figure(film.samples[-1], f"{name}: {film.title}, {film.samples[-1].answers.verdict()}"), path, dpi)
        pictures[path] = f"{film.title}, and the inside of the model at each step"
    if curves:
        path = directory.pictures / f"length_curve.{format}"
        save(length_figure(curves, f"{name}: generalisation to other sizes"), path, dpi)
        pictures[path] = f"accuracy at sizes within and beyond the trained ones, data in {LENGTH_CURVE}"
    if measurements:
        path = directory.pictures / f"learning_curve.{format}"
        save(learning_curve(measurements, task.metric, f"{name}: learning curve"), path, dpi)
        pictures[path] = "loss and accuracy during training"
    return pictures


def _facts(
    model: SequenceModel, task: Task, measurements: Sequence[Measurement], refresh_probability: float
) -> list[str]:
    """What the page says of the run below its title."""
    facts = [f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters"]
    if measurements:
        facts.append(f"{measurements[-1].iteration:,} iterations")
    if refresh_probability:
        facts.append(f"memory refreshing with p = {refresh_probability:g}")
    scores = [measurement.scores for measurement in measurements if measurement.split == "validation"]
    if scores and task.metric in scores[-1]:
        facts.append(f"{task.metric.replace('_', ' ')} {scores[-1][task.metric]:.1%} on held-out sequences")
    return facts
