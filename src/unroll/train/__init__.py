"""Training: the loop, checkpoints, history, run folders."""

from unroll.train.checkpoint import load_weights, save_weights
from unroll.train.history import History, read_history
from unroll.train.loop import FitResult, fit
from unroll.train.optimizer import OPTIMIZERS
from unroll.train.problem import Problem
from unroll.train.processes import Processes
from unroll.train.run_folder import RunFolder
from unroll.train.schedule import SCHEDULES
from unroll.train.seed import epoch_order, seed_everything
from unroll.train.settings import FitSettings

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "FitResult",
    "FitSettings",
    "History",
    "Problem",
    "Processes",
    "RunFolder",
    "epoch_order",
    "fit",
    "load_weights",
    "read_history",
    "save_weights",
    "seed_everything",
]
