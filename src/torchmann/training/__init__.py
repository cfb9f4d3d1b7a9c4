"""Training: from a task and a model to weights, metrics and an evaluation."""

from torchmann.training.clipping import Clipping, clip_gradients
from torchmann.training.config import Choice, Config
from torchmann.training.evaluate import evaluate, final_evaluation
from torchmann.training.loop import Measurement, Training
from torchmann.training.optimisers import OPTIMISERS, GravesRMSProp, optimiser_named
from torchmann.training.refreshing import Refreshing
from torchmann.training.run import Outcome, evaluate_finally, load_run, train_run
from torchmann.training.run_directory import RunDirectory
from torchmann.training.settings import Settings
from torchmann.training.tally import Means, Tally

__all__ = [
    "Choice",
    "Clipping",
    "Config",
    "GravesRMSProp",
    "Means",
    "Measurement",
    "OPTIMISERS",
    "Outcome",
    "Refreshing",
    "RunDirectory",
    "Settings",
    "Tally",
    "Training",
    "clip_gradients",
    "evaluate",
    "evaluate_finally",
    "final_evaluation",
    "load_run",
    "optimiser_named",
    "train_run",
]
