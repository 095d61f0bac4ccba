"""The report of a comparison: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from unroll.files import write_text
from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.answer import answer
from unroll.report.definitions import definitions
from unroll.report.facts import Result
from unroll.report.html import data_block, esc, figure, grid, pairs, paragraph, prose, section
from unroll.report.stylesheet import stylesheet

MOST_BYTES = 2_000_000
BULKY = ("curves", "gradient")

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SECTIONS = (
    ("answer", "Answer"), ("forecasts", "Forecasts"), ("scores", "Scores"), ("learning", "Learning"),
    ("memory", "Memory"), ("cost", "Cost"), ("repeat", "Repeat"), ("definitions", "Definitions"),
)  # fmt: skip


def write_report(result: dict[str, Any], path: Path) -> None:
    """Write the page of ``result`` to ``path``; an older page stays whole until the new one is complete."""
    write_text(Path(path), render(result))


def render(result: dict[str, Any]) -> str:
    """The whole page. The same result gives the same bytes."""
    body = "\n".join(
        [
            answer(result), _forecasts(result), _scores(result), _learning(result),
            _memory(result), _cost(result), repeat(result), _definitions(result),
        ]
    )  # fmt: skip
    return document(result, _sections(result), body)


def document(result: dict[str, Any], sections: Sequence[tuple[str, str]], body: str) -> str:
    """A page of its own around ``body``, whose ``sections`` are anchors and names; the result is its data block."""
    title = esc(f"{result['name']}: {facts.job_of(result)}")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="unroll {esc(result.get("unroll", ""))}">
<link rel="icon" href="data:,">
<title>{title} · unroll</title>
<style>{stylesheet()}</style>
</head>
<body>
{_top(sections)}
<main>
{body}
</main>
"""
    return f"{page}{_data(result, MOST_BYTES - len(page.encode()) - 1000)}\n</body>\n</html>\n"


def _sections(result: Result) -> list[tuple[str, str]]:
    """Those of a forecast, the second one renamed where there are tables instead."""
    return [(a, "Predictions" if a == "forecasts" and "tables" in result else name) for a, name in _SECTIONS]


def _top(sections: Sequence[tuple[str, str]]) -> str:
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name in sections)
    choices = "".join(
        f'<label><input type="radio" name="theme" id="theme-{key}"{" checked" if key == "auto" else ""}>{name}</label>'
        for key, name in (("auto", "Auto"), ("light", "Light"), ("dark", "Dark"))
    )
    return (
        f'<header><nav aria-label="Sections">{links}</nav>\n'
        f"<fieldset><legend>Colours</legend>{choices}</fieldset></header>"
    )


def _forecasts(result: Result) -> str:
    """Forecasts, or the tables a task has of what was predicted."""
    from unroll.report import charts

    if "tables" in result:
        title = str(facts.words_of(result).get("examples", "What was predicted"))
        return section("forecasts", title, *(_shown(result, table) for table in result["tables"]))
    drawn = [figure(f) for f in charts.forecasts(result)]
    why = "" if drawn else _why("The result holds no example forecast, so there is nothing to draw here.")
    return section("forecasts", "Forecasts beside what happened", *drawn, why)


def _shown(result: Result, table: Mapping[str, Any]) -> str:
    """A table, or the chart of it where it can be drawn."""
    from unroll.report import charts

    kind = (table.get("drawn") or {}).get("kind")
    drawn = charts.confusion(table) if kind == "confusion" else None
    drawn = charts.calibration(result, table) if kind == "calibration" else drawn
    if drawn is not None:
        return figure(drawn)
    note = paragraph(str(table["note"]), "quiet")
    return f"<div><h3>{prose(table['title'])}</h3>\n{grid(table['head'], table['rows'], 3)}\n{note}</div>"


def _scores(result: Result) -> str:
    from unroll.report import charts

    drawn = charts.scores(result)
    why = [] if result["baselines"] else [_why("No baseline was scored, so no candidate can be called good here.")]
    if drawn is None:
        return section("scores", "Scores beside baselines", _why("Nothing was scored."))
    if all(e.low is None for e in facts.candidates(result)):
        why.append(_why("No interval could be computed: too few seeds or test windows."))
    return section("scores", "Scores beside baselines", figure(drawn), *why, _intervals(result))


def _intervals(result: Result) -> str:
    """How often the intervals around the forecasts held; nothing where there are none."""
    held = facts.held(result)
    if not held:
        return ""
    level = facts.interval_of(result)
    rows = [
        [e.label, *(fmt.share(v) for v in covered), *(facts.score_of(e.raw, m)[0] for m in ("interval width", "MSIS"))]
        for e, covered in held
    ]
    table = grid(["", "held", "95 % from", "to", "mean width", "MSIS"], rows, 3)
    best, covered = held[0]
    title = f"The {fmt.share(level)} intervals of {best.named} held {fmt.share(covered[0])} of what happened"
    note = "The share held has an interval of its own, from blocks of test windows: neighbours overlap."
    return f'<div>\n<h3>{prose(title)}</h3>\n{table}\n<p class="quiet">{prose(note)}</p>\n</div>'


def _learning(result: Result) -> str:
    from unroll.report import charts

    drawn = charts.learning(result)
    if drawn is None:
        return section("learning", "Learning curves", _why("No training run finished an epoch."))
    return section("learning", "Learning curves", figure(drawn), _runs(result))


def _runs(result: Result) -> str:
    """How each seed ended and which learning rates were tried."""
    ends = {"early": "validation stopped improving", "epochs": "all epochs done", "budget": "time was up"}
    kept = "epochs" if facts.keeps_last(result) else "best_epoch"
    seeds = [
        [f"{e.label}, seed {s['seed']}", s.get("epochs"), s.get("best_epoch"), s.get(kept),
         fmt.seconds(s.get("train_seconds")), ends.get(s.get("stopped"), s.get("stopped"))]
        for e in facts.candidates(result) for s in e.raw.get("seeds") or []
    ]  # fmt: skip
    tried = [
        [e.label, t.get("lr"), t.get("valid_loss"), "chosen" if t.get("lr") == e.raw.get("lr") else ""]
        for e in facts.candidates(result)
        for t in e.raw.get("lr_search") or []
    ]
    parts = []
    if seeds:
        table = grid(["", "epochs", "best epoch", "kept epoch", "trained", "ended because"], seeds)
        parts.append(f"<details><summary>How each seed ended</summary>\n{table}</details>")
    if tried:
        table = grid(["", "learning rate", "validation loss", ""], tried)
        parts.append(f"<details><summary>Learning rates tried</summary>\n{table}</details>")
    return "\n".join(parts)


def _memory(result: Result) -> str:
    from unroll.report import charts

    gradient, keep = charts.gradient(result), charts.keep(result)
    reach = figure(gradient) if gradient else _why(_no_gradient(result))
    gates = figure(keep) if keep else _why("No candidate has a gate that keeps, so there is no timescale to show.")
    return section("memory", "How far gradients and memory reach", reach, gates)


def _no_gradient(result: Result) -> str:
    return str(facts.words_of(result).get("gradient", "No gradient was measured, so its reach is unknown."))


def _cost(result: Result) -> str:
    from unroll.report import charts

    drawn = charts.cost(result)
    return section("cost", "Cost", figure(drawn) if drawn else _why("Nothing was measured."))


def repeat(result: Result) -> str:
    """How to repeat it: command, seeds, data, versions, machine, configuration."""
    told_of = result["repeat"]
    versions = ", ".join(f"{name} {number}" for name, number in (told_of.get("versions") or {}).items())
    budget = told_of.get("budget_seconds")
    told = [
        ("Seeds", ", ".join(str(s) for s in told_of.get("seeds") or [])),
        ("Data", result["data"].get("source", "")),
        ("Data fingerprint", f"sha256 {result['data'].get('fingerprint', '')}"),
        ("Versions", versions),
        ("Machine", _machine(told_of.get("machine") or {})),
        ("Started", told_of.get("started") or ""),
        ("Took", fmt.seconds(told_of.get("seconds")) + (f" of {fmt.seconds(budget)} allowed" if budget else "")),
    ]
    config = yaml.safe_dump(told_of.get("config") or {}, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return section(
        "repeat",
        "How to repeat it",
        f"<pre><code>{esc(told_of.get('command', ''))}</code></pre>",
        pairs([(term, esc(value)) for term, value in told if value]),
        '<h3 class="config">Configuration</h3>',
        "<pre><code>" + "\n".join(esc(line) for line in config.rstrip().split("\n")) + "</code></pre>",
    )


def _machine(machine: Mapping[str, Any]) -> str:
    told = [
        machine.get("processor"),
        fmt.plural(machine["cores"], "core") if machine.get("cores") else None,
        f"{fmt.significant(machine['memory_gb'])} GB memory" if machine.get("memory_gb") else None,
        fmt.plural(machine["workers"], "worker") if machine.get("workers") else None,
        f"{fmt.plural(machine['threads_per_worker'], 'thread')} each" if machine.get("threads_per_worker") else None,
        "/".join(str(s) for s in machine.get("instruction_sets") or []),
    ]
    return ", ".join(str(t) for t in told if t)


def _definitions(result: Result) -> str:
    return section("definitions", "Definitions", pairs([(term, prose(text)) for term, text in definitions(result)]))


def _why(text: str) -> str:
    return paragraph(text, "note")


def _data(result: dict[str, Any], room: int) -> str:
    """The result itself; where it is too long for one page, without its curves and saying so."""
    block = data_block(result)
    if len(block) <= room:
        return block
    cut = {**result, "left_out": "curves, gradients and examples; result.json beside this page has them"}
    cut["candidates"] = [{k: v for k, v in c.items() if k not in BULKY} for c in result["candidates"]]
    cut["examples"] = []
    return data_block(cut)
