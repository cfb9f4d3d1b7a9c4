"""``torchmann bench``: speed, measured side by side on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from torchmann.analysis.style import save
from torchmann.benchmarks import SUITES, WORKLOADS, Comparison, measure, suite, workload
from torchmann.benchmarks.contestants import add_peers, contestant, problem_on
from torchmann.benchmarks.report import Measured, figure, machine, markdown, rows, to_json
from torchmann.cli.parser import Parser
from torchmann.cli.table import aligned
from torchmann.core.atomic import write_atomically
from torchmann.core.errors import OptionError, require_positive
from torchmann.training.settings import device_named


def bench(arguments: Sequence[str]) -> int:
    """``torchmann bench [SUITE ...]``."""
    parser = Parser(
        prog="torchmann bench",
        description="Time models and engines side by side, interleaved round by round in one process: medians, and how "
        "many times as fast each is as the first, with quartiles over the rounds.",
        epilog="Example: torchmann bench --workload W1/batch=4 --contestants frozen-dnc dnc:eager dnc:fused ntm",
    )
    parser.add_argument("suites", metavar="SUITE", nargs="*", help=f"Any of {', '.join(SUITES)}; dnc if none is given.")
    parser.add_argument(
        "--workload", metavar="SIZES", help=f"One of {', '.join(WORKLOADS)}, or with changes: W1/batch=4."
    )
    parser.add_argument("--contestants", metavar="NAME", nargs="+", help="MODEL[:ENGINE][,KEYWORD=VALUE], nn.LSTM, ...")
    parser.add_argument("--kind", choices=("train", "forward"), default="train", help="Of an iteration.")
    parser.add_argument("--rounds", type=int, default=7, help="Of which the median is taken.")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where models and batches are.")
    parser.add_argument("--memory", action="store_true", help="Measure the memory too, each in its own process.")
    parser.add_argument("--peers", metavar="DIR", help="Folder with packages of others to compare with.")
    parser.add_argument("--without", metavar="NAME", nargs="+", default=[], help="Contestants to leave out.")
    parser.add_argument("--json", metavar="FILE", help="Write all numbers there.")
    parser.add_argument("--markdown", metavar="FILE", help="Write the tables there.")
    parser.add_argument("--plot", metavar="FILE", help="Draw the ratios there (png, pdf or svg).")
    parsed = parser.parse_args(list(arguments))
    require_positive(rounds=parsed.rounds, threads=parsed.threads)
    if parsed.peers:
        add_peers(parsed.peers)
    device_named(parsed.device)
    chosen = _chosen(parsed)
    unfit = _unfit(chosen, parsed.device)
    comparisons = [_left(each, [*parsed.without, *unfit]) for each in chosen]
    for comparison in comparisons:  # whatever is wrong is said before anything is measured
        workload(comparison.workload)
        for name in comparison.contestants:
            contestant(name)
    torch.set_num_threads(parsed.threads)
    print(machine(parsed.device))
    for name, problem in unfit.items():
        print(f"left out on {parsed.device}: {name} ({problem})")
    measured: list[Measured] = []
    for comparison in comparisons:
        sizes = workload(comparison.workload)
        names, kind = comparison.contestants, comparison.kind
        rounds, memory, device = parsed.rounds, parsed.memory, parsed.device
        results = measure(sizes, names, kind=kind, rounds=rounds, memory=memory, device=device)
        measured.append((comparison, results))
        print(f"\n{comparison.workload}, {kind}: {sizes}")
        print("\n".join(aligned(rows(comparison, results))), flush=True)
    _write(measured, parsed)
    return 0


def _chosen(parsed: object) -> list[Comparison]:
    """What is asked for: suites, or one comparison of one's own."""
    suites, sizes, names = (getattr(parsed, name) for name in ("suites", "workload", "contestants"))
    if bool(sizes) != bool(names) or (suites and sizes):
        raise OptionError("give suites, or both --workload and --contestants.")
    if sizes:
        return [Comparison(sizes, tuple(names), getattr(parsed, "kind", "train"))]
    return [comparison for name in suites or ["dnc"] for comparison in suite(name)]


def _unfit(comparisons: Sequence[Comparison], device: str) -> dict[str, str]:
    """The contestants that cannot run on the device, and why."""
    names = [name for comparison in comparisons for name in comparison.contestants]
    return {name: problem for name in names if (problem := problem_on(device, name))}


def _left(comparison: Comparison, without: Sequence[str]) -> Comparison:
    kept = tuple(name for name in comparison.contestants if name not in without)
    if not kept:
        left_out = ", ".join(comparison.contestants)
        raise OptionError(f"--without or --device leaves no contestant at {comparison.workload}, of {left_out}.")
    return replace(comparison, contestants=kept)


def _write(measured: Sequence[Measured], parsed: object) -> None:
    as_json, as_text, picture, device = (getattr(parsed, name) for name in ("json", "markdown", "plot", "device"))
    if as_json:
        write_atomically(Path(as_json), json.dumps(to_json(measured, device), indent=1).encode())
    if as_text:
        write_atomically(Path(as_text), markdown(measured, device).encode())
    if picture:
        save(figure(measured), Path(picture))
