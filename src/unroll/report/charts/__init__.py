"""The charts of a comparison, one idea each: drawn by Altair, turned into SVG by vl-convert, no browser needed.

Importing this package imports both, so the page does it only when it draws.
"""

from unroll.report.charts.calibration import calibration
from unroll.report.charts.confusion import confusion
from unroll.report.charts.cost import cost
from unroll.report.charts.figure import Figure, Table
from unroll.report.charts.forecasts import forecasts
from unroll.report.charts.gradient import gradient
from unroll.report.charts.keep import keep
from unroll.report.charts.learning import learning
from unroll.report.charts.origins import origins
from unroll.report.charts.scores import scores

__all__ = [
    "Figure",
    "Table",
    "calibration",
    "confusion",
    "cost",
    "forecasts",
    "gradient",
    "keep",
    "learning",
    "origins",
    "scores",
]
