"""What was measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import torch
from matplotlib.figure import Figure

from torchmann.analysis.style import HELD_OUT, styled
from torchmann.benchmarks.measure import Result
from torchmann.benchmarks.suites import Comparison
from torchmann.core.version import __version__

Measured = tuple[Comparison, Mapping[str, Result]]


def machine(device: str = "cpu") -> str:
    """The machine and the versions that were measured on."""
    gpu = f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda}), " if device == "cuda" else ""
    return (
        f"torchmann {__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}, "
        f"{gpu}{processor()}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    )


def processor() -> str:
    """What the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def rows(comparison: Comparison, results: Mapping[str, Result]) -> list[list[str]]:
    """The cells of a comparison's table, its head first."""
    base = next(iter(results))
    targets = dict(comparison.targets)
    measured = any(result.peak_bytes is not None for result in results.values())
    head = ["", "ms", f"times as fast as {base}", "quartiles", "at least", "first iteration"]
    table = [head + ["MB"] * measured]
    for name, result in results.items():
        middle, low, high = result.times(results[base])
        target = f"{targets[name]:.2g}" if name in targets else ""
        cells = [name, f"{result.median * 1e3:.2f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}", target]
        cells.append(f"+{result.start_up:.1f} s" if result.start_up > 1 else "")
        table.append(cells + [f"{(result.peak_bytes or 0) / 1e6:.0f}"] * measured)
    return table


def markdown(measured: Sequence[Measured], device: str = "cpu") -> str:
    """All tables as a page, with the machine, the date and the method."""
    parts = [f"{machine(device)}, {date.today():%d %B %Y}"]
    for comparison, results in measured:
        head, *body = rows(comparison, results)
        count = len(next(iter(results.values())).seconds)
        lines = [head, ["---"] * len(head), *body]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        parts.append(f"### {comparison.workload}, {comparison.kind}, medians of {count} interleaved rounds\n\n{table}")
    return "\n\n".join(parts) + "\n"


def to_json(measured: Sequence[Measured], device: str = "cpu") -> dict[str, Any]:
    """All numbers, those of each round."""
    return {
        "machine": machine(device),
        "device": device,
        "date": date.today().isoformat(),
        "comparisons": [
            {
                "workload": comparison.workload,
                "kind": comparison.kind,
                "results": {name: vars(result) for name, result in results.items()},
            }
            for comparison, results in measured
        ],
    }


def figure(measured: Sequence[Measured]) -> Figure:
    """A panel for each comparison: how many times as fast as its first contestant each is, on a logarithmic axis."""
    with styled():
        heights = [1 + 0.35 * len(results) for _, results in measured]
        drawn = Figure(figsize=(7, sum(heights)), layout="constrained")
        axes = drawn.subplots(len(measured), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axis, (comparison, results) in zip(axes, measured, strict=True):
            base = next(iter(results))
            names = list(results)[::-1]
            spread = [results[name].times(results[base]) for name in names]
            middles = [middle for middle, _, _ in spread]
            errors = [[middle - low for middle, low, _ in spread], [high - middle for middle, _, high in spread]]
            axis.barh(names, middles, color=HELD_OUT, height=0.6, xerr=errors)
            axis.set_xscale("log")
            axis.axvline(1, color="black", linewidth=0.6)
            axis.set_title(f"{comparison.workload}, {comparison.kind}: times as fast as {base}")
    return drawn
