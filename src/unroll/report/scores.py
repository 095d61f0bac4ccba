"""A table of scores, for a run that is evaluated on its own."""

from __future__ import annotations

from typing import Any

from unroll.report import format as fmt


def render_scores(scores: dict[str, Any]) -> str:
    """What an estimator's ``evaluate`` gives, as text: how many examples, then every metric in the data's own units."""
    unit, count = next(iter(scores.items()))
    metrics = [name for name, score in scores["network"].items() if not isinstance(score, dict)]
    rows = [("network", scores["network"]), *scores["baselines"].items()]
    cells = [["", *metrics]]
    cells += [[name, *(fmt.significant(row[metric]) for metric in metrics)] for name, row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = [
        "  " + row[0].ljust(widths[0]) + "".join(f"   {c:>{w}}" for c, w in zip(row[1:], widths[1:])) for row in cells
    ]
    nominal = (scores["network"].get("quantiles") or {}).get("nominal")
    told = [f"  quantile coverage is of an interval that is to hold {100 * nominal:.4g} %"] if nominal else []
    return "\n".join([f"{count:,} {unit}", "", *lines, *told, *scores.get("notes", [])]) + "\n"
