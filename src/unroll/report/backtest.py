"""A backtest as a page and as a few lines of text: the scores at every origin, and how far they spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unroll.files import write_text
from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.definitions import of_metrics
from unroll.report.facts import Entry, Result
from unroll.report.html import esc, figure, pairs, paragraph, prose, section
from unroll.report.html import grid as numbers
from unroll.report.page import document, repeat
from unroll.report.terminal import table_lines, text_of, where, wrapped

_SECTIONS = (("answer", "Answer"), ("scores", "Scores by origin"), ("repeat", "Repeat"), ("definitions", "Definitions"))


def write_backtest(result: dict[str, Any], path: Path) -> None:
    """Write the page of ``result`` to ``path``; an older page stays whole until the new one is complete."""
    write_text(Path(path), render_backtest(result))


def render_backtest(result: dict[str, Any]) -> str:
    """The whole page. The same result gives the same bytes."""
    body = "\n".join([_answer(result), _scores(result), repeat(result), _definitions(result)])
    return document(result, _SECTIONS, body)


def backtest_text(
    result: dict[str, Any], *, width: int = 100, unicode: bool = True, report_path: str | None = None
) -> str:
    """The end of ``unroll backtest``, ``width`` columns wide at most; plain ASCII without ``unicode``."""
    source = fmt.clean(result["data"].get("source", ""))
    lines = [*wrapped(f"{source} · {facts.job_of(result)} · {_plan(result)}", width, unicode), ""]
    names = [text_of(e.label, unicode) for e in facts.entries(result)]
    columns = {text_of(head, unicode): [text_of(c, unicode) for c in cells] for head, cells in _columns(result)}
    lines += [*table_lines("forecaster", names, columns, width, unicode), ""]
    for sentence in result["answer"]["sentences"]:
        lines += wrapped(sentence, width, unicode)
    lines += where(result, width, unicode, report_path)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _plan(result: Result) -> str:
    task = result["task"]
    often = f"a new training every {task['refit']}"
    count = {0: "one training", 1: "a new training at each"}.get(task["refit"], often)
    step = f", {fmt.plural(task['step'], 'step')} apart" if task["origins"] > 1 else ""
    return f"{fmt.plural(task['origins'], 'origin')}{step}, {count}"


def _columns(result: Result) -> list[tuple[str, list[str]]]:
    """Headings and their cells; a column in which nothing stands is left out."""
    every, metric = facts.entries(result), facts.metric_of(result)
    places = facts.decimals(result)
    columns = [
        (metric, [fmt.score(e.mean, places) or "none" for e in every]),
        ("± over origins", [fmt.score(_of(e, metric, "deviation"), places) for e in every]),
        ("worst", [fmt.score(_worst(e, metric), places) for e in every]),
        ("coverage", facts.coverage(result)),
        ("parameters", [fmt.parameters(e.raw.get("parameters")) for e in every]),
        ("train", [fmt.seconds(e.raw.get("train_seconds")) for e in every]),
    ]
    return [(head, cells) for head, cells in columns if any(cells)]


def _of(entry: Entry, metric: str, what: str) -> float | None:
    found: float | None = entry.raw["scores"][metric][what]
    return found


def _worst(entry: Entry, metric: str) -> float | None:
    return max((v for v in entry.raw["by_origin"][metric] if v is not None), default=None)


def _answer(result: Result) -> str:
    first, *rest = result["answer"]["sentences"]
    columns = _columns(result)
    rows = [
        [e.label, *(cells[k] for _, cells in columns)]
        for k, e in enumerate(facts.entries(result))
    ]  # fmt: skip
    return (
        f'<p class="eyebrow">{esc(result["name"])} · {esc(result["data"].get("source", ""))} · '
        f"{esc(facts.job_of(result))} · {esc(_plan(result))}</p>\n"
        f'<div id="answer" class="answer">\n<h1>{prose(facts.unbroken(result, first))}</h1>\n'
        + "\n".join(paragraph(facts.unbroken(result, s), "lead") for s in rest)
        + f"\n{numbers(['Forecaster', *(head for head, _ in columns)], rows)}\n"
        + f"{paragraph(facts.told_of_data(result) + '.', 'facts')}</div>"
    )


def _scores(result: Result) -> str:
    from unroll.report import charts

    drawn = charts.origins(result)
    return section("scores", "Scores by origin", figure(drawn) if drawn else paragraph("Nothing was scored.", "note"))


def _definitions(result: Result) -> str:
    told = [*of_metrics(result), ("Origins and trainings", str(result["protocol"]))]
    return section("definitions", "Definitions", pairs([(term, prose(text)) for term, text in told]))
