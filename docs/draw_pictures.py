"""Train the small models of these pages and draw their pictures, at most a minute each on one thread:

python docs/draw_pictures.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from torchmann import tasks
from torchmann.analysis import contributions, memorisation_figure, record_sample, sample_figure, writing_steps
from torchmann.analysis.sample_figure import drawn
from torchmann.analysis.task_figure import task_figure, task_samples
from torchmann.cli import main
from torchmann.memories import Uniform
from torchmann.models import SequenceModel
from torchmann.tasks import Task
from torchmann.training import RunDirectory, load_run

PICTURES = Path(__file__).parent / "pictures"

COPY = "--task copy --task.bits 4 --optimiser.lr 5e-3 --evaluate_every 100 --solved_at 0.998 --max_seconds 60"
UP_TO_5 = "--task.max_length 5 --model.hidden_size 48 --model.slots 10 --model.width 12"
EXACTLY_6 = "--task.min_length 6 --task.max_length 6 --model.hidden_size 48 --model.slots 6 --model.width 16"
EXACTLY_10 = "--task.min_length 10 --task.max_length 10 --model.hidden_size 64"


class Picture(NamedTuple):
    """One trained model and a sequence that it copies."""

    title: str
    flags: str


SAMPLES = {
    "lstm": Picture("LSTM", "--model lstm --task.max_length 5 --model.hidden_size 64"),
    "ntm": Picture("NTM", f"--model ntm {UP_TO_5}"),
    "dnc": Picture("DNC", f"--model dnc {UP_TO_5}"),
    "uniform_writing": Picture("DNC, uniform:2", f"--model dnc --model.writing uniform:2 {EXACTLY_6}"),
    "cached_writing": Picture("DNC, cached:2", f"--model dnc --model.writing cached:2 {EXACTLY_6}"),
    "softmax_allocation": Picture("DNC, softmax allocation", f"--model dnc --model.allocation softmax {UP_TO_5}"),
    "slots_alike": Picture(
        "The same from an empty memory",
        f"--model dnc --model.allocation softmax --model.initial_memory constant {UP_TO_5}",
    ),
    "ntm1": Picture("NTM1", f"--model ntm1 {UP_TO_5}"),
    "ntm2": Picture("NTM2", f"--model ntm2 {UP_TO_5}"),
    "ntm3": Picture("NTM3", f"--model ntm3 {UP_TO_5}"),
    "armin": Picture("ARMIN", f"--model armin {UP_TO_5} --model.slots 6 --model.width 48 --max_seconds 240"),
    "sdnc": Picture("SDNC", f"--model sdnc {UP_TO_5} --max_seconds 240"),
    "dam": Picture("DAM-2", f"--model dam {UP_TO_5} --model.width 6"),
}
CORE = "--task.min_length 4 --task.max_length 4 --model.slots 6 --model.width 32 --max_seconds 240"
RELATIONAL = {
    "rmc": Picture("RMC", f"--model rmc {CORE}"),
    "darmc": Picture("DARMC-2", f"--model darmc {CORE}"),
}
TASKS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "tasks_bits": (
        ("copy", {"min_length": 6}),
        ("repeat-copy", {"min_length": 3, "min_repeats": 3}),
        ("recall", {"min_items": 3, "max_items": 3}),
        ("priority-sort", {}),
        ("ngram", {"context": 4}),
    ),
    "tasks_symbols": (
        ("double", {"min_length": 6, "max_length": 6}),
        ("reverse", {"min_length": 8, "max_length": 8}),
        ("add", {"min_length": 8, "max_length": 8}),
        ("max", {"min_length": 8, "max_length": 8}),
        ("sinusoid", {"noise": 0.5}),
    ),
    "tasks_relations": (
        ("representation-recall", {"bits": 16, "segments": 4, "min_queries": 6, "max_queries": 6}),
        ("nth-farthest", {}),
        ("convex-hull", {"min_points": 7, "max_points": 7}),
    ),
    "tasks_real": (
        ("babi", {"tasks": [1]}),
        ("babi-sentences", {"tasks": [1]}),
        ("mnist", {"pixels_per_step": 28}),
        ("ptb", {"steps": 80}),
    ),
}
"""By the name of the picture, the tasks on it, one below the other."""
WATCHED = (
    "--task copy --model dnc --optimiser.lr 3e-3 --solved_at 0.998 --evaluate_every 100 --checkpoint_every 100 "
    "--keep_every 100"
)
MEMORISING = {
    "LSTM": f"--model lstm {EXACTLY_10}",
    "DNC, every step": f"--model dnc --model.slots 3 --model.width 16 {EXACTLY_10}",
    "DNC, uniform:3": f"--model dnc --model.slots 3 --model.width 16 --model.writing uniform:3 {EXACTLY_10}",
}


def trained(flags: str) -> tuple[Task, SequenceModel]:
    """The task and the model of a run of ``torchmann train``."""
    with TemporaryDirectory() as directory:
        status = main(["train", *COPY.split(), *flags.split(), "--output", f"{directory}/run"])
        if status:
            sys.exit(status)
        _, task, model = load_run(RunDirectory.open(f"{directory}/run"))
        return task, model


def draw_sample(name: str) -> None:
    """A test sequence, and the inside of the model at each step."""
    title, flags = SAMPLES[name]
    task, model = trained(flags)
    sample = record_sample(model, task)
    right = f"{sample.answers.accuracy():.1%} of the bits of a test sequence right"
    save(sample_figure(sample, f"{title}: {right}"), name)


def draw_relational(name: str) -> None:
    """A test sequence, what the gates let through, and how far the slots move at each step."""
    title, flags = RELATIONAL[name]
    task, model = trained(flags)
    sample = record_sample(model, task)
    if name == "rmc":
        weights_THMM = sample.internals["memory.attention_0"]
        gates = {
            "attention of each slot to the input, mean of the heads": weights_THMM[:, :, :-1, -1].mean(1),
            "forget gate, mean over a slot": sample.internals["memory.forget_gate"].mean(-1),
        }
    else:
        gates = {"attentive gate": sample.internals["memory.attentive_gate"][..., 0]}
    right = f"{sample.answers.accuracy():.1%} of the bits of a test sequence right"
    save(sample_figure(sample, f"{title}: {right}", gates | drawn(sample.internals)), name)


def draw_tasks(name: str) -> None:
    """A sequence of each task, before any model has seen it."""
    pictures = []
    for task_name, options in TASKS[name]:
        task = tasks.make(task_name, **options)
        with BytesIO() as file:
            figure = task_figure(task, task_samples(task, 1)[0], task_name)
            figure.savefig(file, dpi=80, bbox_inches="tight", pad_inches=0.12)
            pictures.append(Image.open(file).convert("RGB"))
    whole = Image.new("RGB", (max(part.width for part in pictures), sum(part.height for part in pictures)), "white")
    top = 0
    for part in pictures:
        whole.paste(part, (0, top))
        top += part.height
    whole.quantize(64).save(PICTURES / f"{name}.png", optimize=True)


def draw_memorisation() -> None:
    """What three networks keep of ten vectors while these come in."""
    kept, written = {}, {}
    for name, flags in MEMORISING.items():
        task, model = trained(flags)
        batch = task.batch(0, 16, seed=1, split="test")
        shown = batch.first_answer_step
        kept[name] = contributions(model, batch.inputs[:shown]).mean(-1)
        if "uniform" in name:
            written[name] = writing_steps(Uniform(3), shown)
    title = "What copying networks keep of the inputs, and when to write"
    save(memorisation_figure(kept, title, write_steps=written), "memorisation")


def draw_microscope() -> None:
    """The page of a run at a step of the answer, photographed by a browser."""
    picture = PICTURES / "microscope.png"
    with TemporaryDirectory() as directory:
        run = f"{directory}/run"
        if main(["train", *WATCHED.split(), "--output", run]) or main(["show", run]):
            sys.exit(1)
        page = Path(run, "pictures", "microscope.html").as_uri()
        flags = "--headless=new --no-sandbox --hide-scrollbars --window-size=1280,980 --virtual-time-budget=5000"
        subprocess.run(["chromium", *flags.split(), f"--screenshot={picture}", f"{page}#step=10"], check=True)
    coarse = Image.open(picture).convert("RGB").point(lambda value: 5 * round(value / 5))
    coarse.save(picture, optimize=True)  # looks the same, and takes less room


def save(figure: Figure, name: str) -> None:
    """Write a picture, small enough for a repository."""
    figure.savefig(PICTURES / f"{name}.png", dpi=110, bbox_inches="tight", pad_inches=0.12)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or [*SAMPLES, *RELATIONAL, *TASKS, "memorisation", "microscope"]:
        if chosen == "memorisation":
            draw_memorisation()
        elif chosen == "microscope":
            draw_microscope()
        elif chosen in TASKS:
            draw_tasks(chosen)
        elif chosen in RELATIONAL:
            draw_relational(chosen)
        else:
            draw_sample(chosen)
