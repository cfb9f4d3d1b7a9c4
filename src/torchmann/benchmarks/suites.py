"""Suites: comparisons that belong together, as data, each with the ratio that it is to reach."""

from __future__ import annotations

from dataclasses import dataclass

from torchmann.benchmarks.measure import Kind
from torchmann.core.errors import unknown_name


@dataclass(frozen=True)
class Comparison:
    """Contestants at one workload.

    Attributes:
        workload: as `torchmann.benchmarks.workload` takes it.
        contestants: as `contestant` takes them; the first is what the others are compared with.
        kind: of an iteration.
        targets: by contestant: how many times as fast as the first it is to be.
    """

    workload: str
    contestants: tuple[str, ...]
    kind: Kind = "train"
    targets: tuple[tuple[str, float], ...] = ()


DNC = ("frozen-dnc", "nn.LSTM", "dnc:eager", "dnc:fused")
ON_GPU = ("frozen-dnc", "nn.LSTM", "dnc:eager", "dnc:compiled", "dnc:captured:eager", "dnc:captured:compiled")
"""For ``--device cuda``: the fused kernels are for the CPU."""

ARMIN = "armin:fused,hidden_size=100,slots=50,width=32"
"""As in its paper, beside an LSTM of 300 units."""

KINDS: tuple[Kind, ...] = ("train", "forward")

EAGER_MAY = ("dnc:eager", 1 / 1.1)
"""Our eager engine may take a tenth longer than the yardstick."""

SUITES: dict[str, tuple[Comparison, ...]] = {
    "dnc": (
        Comparison("W1", DNC, targets=(EAGER_MAY, ("dnc:fused", 10))),
        Comparison("W1b1", DNC, targets=(EAGER_MAY, ("dnc:fused", 30))),
        Comparison("W2", DNC, targets=(EAGER_MAY, ("dnc:fused", 30))),
        Comparison("W3", DNC, targets=(EAGER_MAY, ("dnc:fused", 4.5))),
        Comparison("W1b1", DNC, "forward", targets=(("dnc:fused", 25),)),
    ),
    "lstm": (
        Comparison("W1", ("nn.LSTM", "dnc:fused"), targets=(("dnc:fused", 1 / 4.5),)),
        Comparison("W3", ("nn.LSTM", "dnc:fused"), targets=(("dnc:fused", 1 / 3.8),)),
    ),
    "dam": (
        Comparison("W1", ("dam:eager", "dam:fused"), targets=(("dam:fused", 7),)),
        Comparison("W3", ("dam:eager", "dam:fused"), targets=(("dam:fused", 3.5),)),
    ),
    "ntm": tuple(
        Comparison("W2", (f"{name}:eager", f"{name}:fused"), targets=((f"{name}:fused", 20),))
        for name in ("ntm", "ntm1", "ntm2", "ntm3")
    ),
    "armin": (
        *(
            Comparison(workload, (f"{name}:eager", f"{name}:fused"), targets=((f"{name}:fused", target),))
            for workload, name, target in (
                ("W2-armin", "armin", 8),
                ("W2-armin", "awta", 8),
                ("W2-armin/hidden=120", "tardis", 10),
            )
        ),
        Comparison("W2-lstm", ("nn.LSTM", ARMIN), targets=((ARMIN, 1),)),
    ),
    "plain": tuple(
        Comparison(workload, ("nn.LSTM", "lstm:eager", "lstm:fused"), kind, targets=(("lstm:fused", 1),))
        for workload in ("W2-lstm", "W1", "W1b1")
        for kind in KINDS
    ),
    "writing": (
        Comparison(
            "W1", ("dnc:eager", "dnc:eager,writing=uniform:10"), targets=(("dnc:eager,writing=uniform:10", 2.5),)
        ),
        Comparison("W1", ("dnc:fused", "dnc:fused,writing=uniform:10", "lstm:eager")),
    ),
    "allocation": tuple(
        Comparison(f"W1b1/steps=16/slots={slots}", (f"dnc:{engine}", f"dnc:{engine},allocation=softmax"))
        for slots in (64, 1024)
        for engine in ("eager", "fused")
    ),
    "slots": tuple(Comparison(f"W5/slots={slots}", DNC) for slots in (64, 256, 1024)),
    "steps": tuple(Comparison(f"W1/steps={steps}", DNC) for steps in (16, 65, 256)),
    "batch": tuple(Comparison(f"W1/batch={batch}", DNC) for batch in (1, 4, 16, 64)),
    "width": tuple(Comparison(f"W1/width={width}", DNC) for width in (8, 36, 128)),
    "hidden": tuple(Comparison(f"W1/hidden={hidden}", DNC) for hidden in (32, 128, 512)),
    "blocks": tuple(Comparison(f"W1/blocks={blocks}", ("dam:eager", "dam:fused")) for blocks in (1, 2, 4, 8)),
    "models": (
        Comparison("W2", ("frozen-dnc", "dnc:auto", "ntm:auto", "ntm1:auto", "ntm2:auto", "ntm3:auto", "dam:auto")),
        Comparison("W2-armin", ("frozen-dnc", "armin:auto", "awta:auto", "tardis:auto", "rmc:auto", "sam:auto")),
    ),
    "gpu": tuple(Comparison(name, ON_GPU) for name in ("W1", "W2", "W3", "W4", "W5")),
    "peers": (Comparison("W1", ("pytorch-dnc", "frozen-dnc", "dnc:eager", "dnc:fused")),),
}
"""By the name that ``torchmann bench`` takes. A target below 1 is a contestant that may take longer than the first."""


def suite(name: str) -> tuple[Comparison, ...]:
    """The comparisons of that name.

    Raises:
        OptionError: there is none; the message suggests the nearest name.
    """
    if name not in SUITES:
        raise unknown_name("suite", name, SUITES)
    return SUITES[name]
