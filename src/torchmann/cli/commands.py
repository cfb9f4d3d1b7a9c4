"""The subcommands: each takes its arguments and returns the exit status."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from torchmann.analysis import draw_run
from torchmann.cli.parser import Parser, parse_train
from torchmann.training import Means, Outcome, RunDirectory, evaluate_finally, load_run, train_run

DEMO = (
    "--task copy --task.bits 6 --task.min_length 1 --task.max_length 6 "
    "--model dnc --model.hidden_size 64 --model.slots 16 --model.width 16 "
    "--optimiser adam --optimiser.lr 3e-3 --batch_size 16 --iterations 20000 --evaluate_every 100 --solved_at 0.998"
)
DEMO_GOAL = 0.98
"""Bit accuracy on held-out sequences of the trained lengths that `demo` must reach."""

ENDINGS = {"solved": "Solved", "iterations": "Done", "time": "Out of time", "interrupted": "Stopped by Ctrl-C"}


def train(arguments: Sequence[str]) -> int:
    """``torchmann train``: 130 after Ctrl-C, else 0."""
    config, output, overwrite = parse_train(arguments)
    outcome = train_run(config, output, overwrite=overwrite)
    report(outcome)
    if outcome.evaluation is None:
        return 130
    print(f"\nPictures of the memory at work:  torchmann show {shlex.quote(str(outcome.directory.path))}")
    return 0


def evaluate(arguments: Sequence[str]) -> int:
    """``torchmann eval RUN``."""
    parser = Parser(prog="torchmann eval", description="Score a run's model on held-out and on longer sequences.")
    parser.add_argument("run", metavar="RUN", help="Directory that `torchmann train` has made.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where the model runs.")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads.")
    parsed = parser.parse_args(list(arguments))
    config, task, model = load_run(RunDirectory.open(parsed.run))
    settings = replace(config.settings, device=parsed.device, threads=parsed.threads)
    torch.set_num_threads(settings.threads)
    print(table(evaluate_finally(model, task, settings)))
    return 0


def show(arguments: Sequence[str]) -> int:
    """``torchmann show RUN``."""
    parser = Parser(
        prog="torchmann show",
        description="Draw pictures of a run into its directory: a test sequence with inputs, targets, outputs, read "
        "and write weights and usage over time; a longer one; the learning curve.",
    )
    parser.add_argument("run", metavar="RUN", help="Directory that `torchmann train` has made.")
    draw(RunDirectory.open(parser.parse_args(list(arguments)).run))
    return 0


def demo(arguments: Sequence[str]) -> int:
    """``torchmann demo``: `train` with fixed flags, then `show`; 1 if the goal is not reached, 130 after Ctrl-C."""
    parser = Parser(
        prog="torchmann demo",
        description=f"Train a small DNC to copy sequences, to at least {DEMO_GOAL:.0%} of the bits of held-out "
        f"sequences, and draw its memory at work. The same as: torchmann train {DEMO}",
    )
    parser.add_argument(
        "--output", metavar="DIR", default="runs/demo", help="Run directory; an earlier run is replaced."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the initial weights and the batches.")
    parser.add_argument("--max_seconds", type=float, default=240.0, help="Give up after this time.")
    parsed = parser.parse_args(list(arguments))
    config, _, _ = parse_train([*DEMO.split(), f"--seed={parsed.seed}", f"--max_seconds={parsed.max_seconds}"])
    outcome = train_run(config, parsed.output, overwrite=True)
    report(outcome)
    if outcome.evaluation is None:
        return 130
    reached = outcome.evaluation["test"].scores["bit_accuracy"]
    success = reached >= DEMO_GOAL
    print(f"\nGoal: {DEMO_GOAL:.0%} of the bits of held-out sequences of the trained lengths, 1 to 6. ", end="")
    print(f"{'Reached' if success else 'Not reached'}: {reached:.2%}.\n")
    draw(outcome.directory)
    print(
        "\nNext:\n"
        "  torchmann train --task copy --model lstm --optimiser.lr 3e-3    the same without a memory\n"
        "  torchmann train --task recall --model ntm                       another task, another model\n"
        "  torchmann train --task copy --model dnc --help                  all that can be chosen"
    )
    return 0 if success else 1


def report(outcome: Outcome) -> None:
    """Print how a run ended, and its scores."""
    ending = ENDINGS[outcome.stopped or ""]
    print(
        f"{ending} after {outcome.iteration} iterations, {outcome.seconds:.0f} s; weights in {outcome.directory.path}."
    )
    if outcome.evaluation is not None:
        print(f"\n{table(outcome.evaluation)}")


def draw(directory: RunDirectory) -> None:
    """Draw a run's pictures and print what they are."""
    pictures = draw_run(directory)
    print("Pictures:")
    for path, what in pictures.items():
        print(f"  {path}  ({what})")


def table(results: Mapping[str, Means]) -> str:
    """Scores in rows, splits and sizes in columns; a score that is missing somewhere is a dash there."""
    names = list(dict.fromkeys(name for means in results.values() for name in means.scores))
    rows = [["", *results], ["loss", *(_number(means.loss) for means in results.values())]]
    for name in names:
        cells = [_number(means.scores[name]) if name in means.scores else "-" for means in results.values()]
        rows.append([name.replace("_", " "), *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"
