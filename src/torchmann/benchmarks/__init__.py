"""Speed, measured side by side: what is compared, at which sizes, how, and against which yardstick."""

from torchmann.benchmarks.contestants import Contestant, contestant
from torchmann.benchmarks.frozen_dnc import FrozenDNC
from torchmann.benchmarks.measure import Result, measure
from torchmann.benchmarks.suites import SUITES, Comparison, suite
from torchmann.benchmarks.workloads import WORKLOADS, Workload, workload

__all__ = [
    "Workload",
    "WORKLOADS",
    "workload",
    "Contestant",
    "contestant",
    "FrozenDNC",
    "Result",
    "measure",
    "Comparison",
    "SUITES",
    "suite",
]
