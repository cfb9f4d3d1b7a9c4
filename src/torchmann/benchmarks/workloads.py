"""Workloads: the sizes at which speed is measured, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from torchmann.core.errors import OptionError, require_positive, unknown_name


@dataclass(frozen=True)
class Workload:
    """The sizes of a sequence, and of the network that runs over it.

    Attributes:
        steps: T.
        batch: B.
        inputs: features of a step.
        outputs: features of an answer.
        hidden: units of the controller.
        slots: N, of one block.
        width: W.
        reads: R, read heads.
        blocks: K, of a distributed memory.
    """

    steps: int
    batch: int
    inputs: int
    outputs: int
    hidden: int
    slots: int
    width: int
    reads: int = 1
    blocks: int = 2

    def __post_init__(self) -> None:
        require_positive(**vars(self))


WORKLOADS: dict[str, Workload] = {
    # copy of the DAM paper; the same one sequence at a time
    "W1": Workload(65, 16, 10, 8, hidden=128, slots=64, width=36),
    "W1b1": Workload(65, 1, 10, 8, hidden=128, slots=64, width=36),
    # copy of the ARMIN paper; its own model has 100 units and 50 slots of 32, its LSTM 300 units
    "W2": Workload(60, 1, 10, 8, hidden=120, slots=128, width=20),
    "W2-armin": Workload(60, 1, 10, 8, hidden=100, slots=50, width=32),
    "W2-lstm": Workload(60, 1, 10, 8, hidden=300, slots=1, width=1),
    # bAbI of the DAM paper
    "W3": Workload(100, 32, 64, 160, hidden=256, slots=128, width=48, reads=4),
    # pixels of MNIST
    "W4": Workload(784, 50, 1, 10, hidden=100, slots=28, width=28),
    # large memories, from here to 4,096 slots
    "W5": Workload(32, 8, 10, 8, hidden=128, slots=64, width=32),
}
"""By name; ``W5/slots=1024`` is W5 with another size."""


def workload(text: str) -> Workload:
    """The workload of a name, with other sizes where the text has them: ``W1/batch=4/steps=100``.

    Raises:
        OptionError: an unknown name or size, or a size that is no whole number of at least 1.
    """
    name, *changes = text.split("/")
    if name not in WORKLOADS:
        raise unknown_name("workload", name, WORKLOADS)
    sizes: dict[str, int] = {}
    for change in changes:
        size, _, value = change.partition("=")
        if size not in (known := [field.name for field in fields(Workload)]):
            raise unknown_name("size of a workload", size, known)
        if not value.isdecimal():
            raise OptionError(f"workload {text!r}: {size} must be a whole number, got {value!r}.")
        sizes[size] = int(value)
    return replace(WORKLOADS[name], **sizes)
