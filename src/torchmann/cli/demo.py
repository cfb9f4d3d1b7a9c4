"""``torchmann demo``: a small DNC that learns to copy, and pictures of its memory."""

from __future__ import annotations

from collections.abc import Sequence

from torchmann.cli.parser import Parser
from torchmann.cli.report import draw, report
from torchmann.cli.train_flags import parse_train
from torchmann.training import train_run

DEMO = (
    "--task copy --task.bits 6 --task.min_length 1 --task.max_length 6 "
    "--model dnc --model.hidden_size 64 --model.slots 16 --model.width 16 "
    "--optimiser adam --optimiser.lr 3e-3 --batch_size 16 --iterations 20000 --evaluate_every 100 --solved_at 0.998"
)
DEMO_GOAL = 0.98
"""Bit accuracy on held-out sequences of the trained lengths that `demo` must reach."""


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
    line = parse_train([*DEMO.split(), f"--seed={parsed.seed}", f"--max_seconds={parsed.max_seconds}"])
    outcome = train_run(line.config, parsed.output, overwrite=True)
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
