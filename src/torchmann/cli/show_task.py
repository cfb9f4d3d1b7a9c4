"""``torchmann show --task NAME``: what a task shows and asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchmann import tasks
from torchmann.analysis.style import save
from torchmann.analysis.task_figure import task_figure, task_samples, told
from torchmann.cli.parser import Parser, add_flags
from torchmann.cli.train_flags import NOT_FLAGS, SHORT
from torchmann.core.errors import OptionError, require_positive
from torchmann.tasks import SPLITS, Task


def names_task(arguments: Sequence[str]) -> bool:
    """Whether a command line names a task."""
    return any(argument.partition("=")[0] == "--task" for argument in arguments)


def show_task(arguments: Sequence[str]) -> int:
    """Print and draw some sequences of a task; its keywords are flags, as those of ``torchmann train``."""
    arguments = [part for argument in arguments for part in SHORT.get(argument, [argument])]
    typed = [
        part for argument in arguments for part in (argument.split("=", 1) if "--task=" in argument else [argument])
    ]
    name = (typed[typed.index("--task") + 1 :] or [""])[0]
    constructor, preset = tasks.find(name)
    parser = Parser(prog="torchmann show --task NAME", description="Draw sequences of a task, as a model gets them.")
    parser.add_argument("--task.name", metavar="NAME", help=f"One of {', '.join(tasks.names())}.")
    parser.add_argument("--count", type=int, default=2, help="How many sequences.")
    parser.add_argument("--split", choices=SPLITS, default="train", help="Which sequences.")
    parser.add_argument("--seed", type=int, default=0, help="Of the sequences.")
    parser.add_argument("--output", metavar="FILE", help="Picture (png, pdf or svg); else it is named after the task.")
    add_flags(parser, f"task {name}", constructor, "task", preset, NOT_FLAGS)
    parsed = parser.parse_args(["--task.name" if part == "--task" else part for part in typed]).as_dict()
    require_positive(count=parsed["count"])
    options = {key: value for key, value in parsed["task"].items() if key != "name"}
    task = tasks.make(name, **options)
    print(f"{name}: {_sizes(task)}; metric: {task.metric.replace('_', ' ')}")
    target = Path(parsed["output"] or f"{name.replace('/', '_')}.png")
    rows = task_samples(task, parsed["count"], seed=parsed["seed"], split=parsed["split"])
    for number, row in enumerate(rows, start=1):
        print(f"\nsequence {number}: {told(task, row)}")
        path = target if len(rows) == 1 else target.with_stem(f"{target.stem}_{number}")
        try:
            save(task_figure(task, row, f"{name}, sequence {number}"), path)
        except ValueError as error:
            raise OptionError(f"--output {target}: {error}.") from error
        print(f"picture: {path}")
    return 0


def _sizes(task: Task) -> str:
    """What goes in and what comes out, in words."""
    shown = {"vector": "channels", "tokens": "different tokens", "sentences": "different words"}[task.input_kind]
    refreshed = f", {task.refresh_size} more for memory refreshing" if task.refresh_size else ""
    return f"{task.input_size} {shown} in, {task.output_size} {task.target_kind} out{refreshed}"
