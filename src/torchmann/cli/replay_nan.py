"""``torchmann replay-nan FILE``: an iteration that went wrong, done again and explained."""

from __future__ import annotations

from collections.abc import Sequence

from torchmann.cli.parser import Parser
from torchmann.training import examine, load_case
from torchmann.training.threads import use_threads


def replay_nan_file(arguments: Sequence[str]) -> int:
    """``torchmann replay-nan FILE``: 0 if something is not finite again, 1 if nothing is."""
    parser = Parser(
        prog="torchmann replay-nan",
        description="Do the iteration again at which a training run came to a number that is not finite, and name the "
        "first tensor that is not: with its step and row, or its parameter.",
    )
    parser.add_argument("file", metavar="FILE", help="File that the run named when it stopped.")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="Where to do it; by default where the run was.")
    parsed = parser.parse_args(list(arguments))
    training = load_case(parsed.file, device=parsed.device)
    use_threads(training.settings.threads)
    batch = training.drawn(training.iteration)[1]
    print(f"iteration {training.iteration + 1}, {batch.batch_size} rows of up to {len(batch.inputs)} steps")
    finding = examine(training)
    print(
        f"{finding.sentence()}."
        if finding
        else "Everything is finite on this machine: what went wrong did not come again."
    )
    return 0 if finding else 1
