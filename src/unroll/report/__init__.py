"""A comparison as a page and as a few lines of text.

Charts are drawn when a page is; importing this package imports no drawing library.
"""

from unroll.report.page import render, write_report
from unroll.report.scores import render_scores
from unroll.report.terminal import render_terminal

__all__ = ["render", "render_scores", "render_terminal", "write_report"]
