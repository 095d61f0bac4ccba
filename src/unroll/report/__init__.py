"""A comparison as a page and as a few lines of text.

Charts are drawn when a page is; importing this package imports no drawing library.
"""

from unroll.report.backtest import backtest_text, render_backtest, write_backtest
from unroll.report.page import render, write_report
from unroll.report.scores import render_scores
from unroll.report.terminal import render_terminal

__all__ = [
    "backtest_text",
    "render",
    "render_backtest",
    "render_scores",
    "render_terminal",
    "write_backtest",
    "write_report",
]
