"""Training: the loop, checkpoints, history, run folders."""

from unroll.train.checkpoint import load_weights, save_weights
from unroll.train.history import History, read_history
from unroll.train.loop import FitResult, FitSettings, Problem, fit
from unroll.train.run_folder import RunFolder
from unroll.train.seed import epoch_order, seed_everything

__all__ = [
    "FitResult",
    "FitSettings",
    "History",
    "Problem",
    "RunFolder",
    "epoch_order",
    "fit",
    "load_weights",
    "read_history",
    "save_weights",
    "seed_everything",
]
