"""How a cell is unrolled over time, and the proof that a cell can be."""

from torchmann.engines.checkpointed import Checkpointed
from torchmann.engines.conformance import CHECKS, ConformanceError, check_cell
from torchmann.engines.engine import ENGINES, Engine
from torchmann.engines.fused_stepper import FusedStepper
from torchmann.engines.lightweight import LightweightStepper
from torchmann.engines.recurrent import Recurrent

__all__ = [
    "CHECKS",
    "ENGINES",
    "Checkpointed",
    "ConformanceError",
    "Engine",
    "FusedStepper",
    "LightweightStepper",
    "Recurrent",
    "check_cell",
]
