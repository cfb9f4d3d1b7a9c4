"""The contract that everything else builds on: cells, states, noise, recording, errors."""

from torchmann.core.cell import DENSE, Cell, Controller, Step
from torchmann.core.errors import DataError, OptionError, ShapeError, unknown_name
from torchmann.core.gradients import differentiable_form, stop_gradient, straight_through
from torchmann.core.noise import Draw, draw_noise
from torchmann.core.recorder import Recorder, record, record_state
from torchmann.core.state import State, map_leaves, named_leaves, state, where_rows

__all__ = [
    "DENSE",
    "Cell",
    "Controller",
    "DataError",
    "Draw",
    "OptionError",
    "Recorder",
    "ShapeError",
    "State",
    "Step",
    "differentiable_form",
    "draw_noise",
    "map_leaves",
    "named_leaves",
    "record",
    "record_state",
    "state",
    "stop_gradient",
    "straight_through",
    "unknown_name",
    "where_rows",
]
