"""Training: from a task and a model to weights, metrics and an evaluation."""

from torchmann.training.annealing import Annealing, annealed_names
from torchmann.training.clipping import Clipping, clip_gradients
from torchmann.training.config import Choice, Config
from torchmann.training.curriculum import Curriculum, curriculum_from
from torchmann.training.ensemble import Ensemble
from torchmann.training.ensemble_directory import EnsembleDirectory
from torchmann.training.ensemble_run import EnsembleOutcome, resume_ensemble, train_ensemble
from torchmann.training.ensemble_summary import Member, Spread, Summary
from torchmann.training.evaluate import Evaluation, evaluate, evaluate_with_intervals, final_evaluation
from torchmann.training.forensics import Case, Finding, NotFiniteError, examine, investigate
from torchmann.training.intervals import Interval
from torchmann.training.loop import Measurement, Training
from torchmann.training.optimisers import OPTIMISERS, GravesRMSProp, optimiser_named
from torchmann.training.refreshing import Refreshing
from torchmann.training.replay import load_case, replay_nan, save_case
from torchmann.training.resume import resume_run
from torchmann.training.run import Outcome, evaluate_finally, load_run, train_run
from torchmann.training.run_directory import RunDirectory
from torchmann.training.settings import Settings
from torchmann.training.tally import Means, Tally

__all__ = [
    "Annealing",
    "Case",
    "Choice",
    "Clipping",
    "Config",
    "Curriculum",
    "Ensemble",
    "EnsembleDirectory",
    "EnsembleOutcome",
    "Evaluation",
    "Finding",
    "Interval",
    "GravesRMSProp",
    "Means",
    "Member",
    "Measurement",
    "NotFiniteError",
    "OPTIMISERS",
    "Outcome",
    "Refreshing",
    "RunDirectory",
    "Settings",
    "Spread",
    "Summary",
    "Tally",
    "Training",
    "annealed_names",
    "clip_gradients",
    "curriculum_from",
    "evaluate",
    "evaluate_finally",
    "evaluate_with_intervals",
    "examine",
    "final_evaluation",
    "investigate",
    "load_case",
    "load_run",
    "optimiser_named",
    "replay_nan",
    "resume_ensemble",
    "resume_run",
    "save_case",
    "train_ensemble",
    "train_run",
]
