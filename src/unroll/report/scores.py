"""A table of scores, for a run that is evaluated on its own."""

from __future__ import annotations

from typing import Any

from unroll.report import format as fmt

METRICS = ("MASE", "MAE", "RMSE", "sMAPE")


def render_scores(scores: dict[str, Any]) -> str:
    """What ``Forecaster.evaluate`` gives, as text."""
    rows = [("network", scores["network"]), *scores["baselines"].items()]
    cells = [["", *METRICS]]
    cells += [[name, *(fmt.significant(row[metric]) for metric in METRICS)] for name, row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = [
        "  " + row[0].ljust(widths[0]) + "".join(f"   {c:>{w}}" for c, w in zip(row[1:], widths[1:])) for row in cells
    ]
    return "\n".join([f"{scores['windows']:,} windows", "", *lines]) + "\n"
