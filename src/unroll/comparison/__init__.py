"""Plan of trials, the engine that runs them, statistics, recommendation."""

from unroll.comparison.backtest import Backtest, run_backtest
from unroll.comparison.engine import Progress
from unroll.comparison.origins import BacktestOptions
from unroll.comparison.plan import CompareOptions
from unroll.comparison.run import Comparison, run_comparison
from unroll.comparison.single import run_training

__all__ = [
    "Backtest",
    "BacktestOptions",
    "CompareOptions",
    "Comparison",
    "Progress",
    "run_backtest",
    "run_comparison",
    "run_training",
]
