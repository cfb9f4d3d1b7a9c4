"""``torchmann verify FILES``: recorded cases of other code bases, replayed and compared."""

from __future__ import annotations

from collections.abc import Sequence

from torchmann.cli.parser import Parser
from torchmann.core.errors import DataError
from torchmann.interop import Comparison, Verdict, verify

GROUPS = {"output": "output", "states": "state/", "gradients": "grad/"}


def verify_files(arguments: Sequence[str]) -> int:
    """``torchmann verify FILES``: 0 if all agree.

    Raises:
        DataError: a file misses or can't be run.
    """
    parser = Parser(
        prog="torchmann verify",
        description="Replay runs recorded from other code bases on our models, and compare outputs, states and "
        "gradients: largest deviation in each group, and a verdict by the tolerances of float32 or float64.",
        epilog="A star marks states compared sorted over slots: two usages were tied, and slots are interchangeable.",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="Case as an .npz file.")
    parser.add_argument("--all", action="store_true", help="Print every array, not only those that miss.")
    parsed = parser.parse_args(list(arguments))
    verdicts = [verify(path) for path in parsed.files]
    print("\n".join(lines(verdicts, everything=parsed.all)))
    missed = sum(not verdict.agrees for verdict in verdicts)
    print(f"\n{len(verdicts) - missed} of {len(verdicts)} agree.")
    if missed:
        raise DataError(f"{missed} of {len(verdicts)} files do not agree, or cannot be replayed; the table says why.")
    return 0


def lines(verdicts: Sequence[Verdict], *, everything: bool) -> list[str]:
    """One row for each file, with the arrays that miss below it."""
    width = max(len(verdict.path.name) for verdict in verdicts)
    kinds = max(len("source"), *(len(verdict.source) for verdict in verdicts))
    heads = "".join(group.rjust(11) for group in GROUPS)
    printed = [f"{'file'.ljust(width)}  {'source'.ljust(kinds)}{heads}  verdict"]
    for verdict in verdicts:
        cells = "".join(_cell(verdict, prefix).rjust(11) for prefix in GROUPS.values())
        said = "agrees" if verdict.agrees else f"ERROR: {verdict.error}" if verdict.error else "MISSES"
        printed.append(f"{verdict.path.name.ljust(width)}  {verdict.source.ljust(kinds)}{cells}  {said}")
        printed += [_row(each) for each in verdict.comparisons if everything or not each.agrees]
    return printed


def _cell(verdict: Verdict, prefix: str) -> str:
    worst, mine = verdict.worst(prefix), [each for each in verdict.comparisons if each.key.startswith(prefix)]
    return "-" if worst is None else f"{worst.deviation:.1e}{'*' if any(each.reordered for each in mine) else ' '}"


def _row(comparison: Comparison) -> str:
    what = comparison.problem or f"deviates by {comparison.deviation:.1e}, {comparison.excess:.2g} of the tolerance"
    return f"    {comparison.key}: {what}{'' if comparison.agrees else '   <- MISS'}"
