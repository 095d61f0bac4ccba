"""The top of the page: which one to use, the table that shows why, and what failed."""

from __future__ import annotations

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.facts import Result
from unroll.report.html import esc, icon, paragraph, prose


def headline(result: Result) -> str:
    answer = result["answer"]
    if answer.get("sentences"):
        return str(answer["sentences"][0])
    chosen = answer.get("recommended")
    return f"Use {chosen}." if chosen else "No candidate can be recommended."


def answer(result: Result) -> str:
    """The section without a heading above it: the sentence is the heading of the page."""
    rest = "\n".join(
        paragraph(facts.unbroken(result, s), "lead") for s in (result["answer"].get("sentences") or [])[1:]
    )
    warnings = "\n".join(paragraph(facts.unbroken(result, w), "warn") for w in result["answer"].get("warnings") or [])
    source = esc(result["data"].get("source", ""))
    title = prose(facts.unbroken(result, headline(result)))
    return (
        f'<p class="eyebrow">{esc(result["name"])} · {source} · {esc(facts.job_of(result))}</p>\n'
        f'<div id="answer" class="answer">\n<h1>{title}</h1>\n{rest}\n{warnings}\n{_table(result)}\n'
        f"{_facts(result)}\n{_failures(result)}</div>"
    )


def _facts(result: Result) -> str:
    told = facts.told_of_data(result)
    return paragraph(f"{told}. Candidates are matched by {_match(result)}.", "facts")


def _match(result: Result) -> str:
    return "parameter count" if result["task"].get("match") == "params" else "hidden size"


def _failures(result: Result) -> str:
    failures = result.get("failures") or []
    if not failures:
        return ""
    rows = [f"<li>{prose(f)}</li>" for f in facts.failures(result)]
    counts = "counts" if len(failures) == 1 else "count"
    title = f"{fmt.plural(len(failures), 'trial')} failed and {counts} in no score."
    return f'<div class="warn" id="failures"><p>{title}</p><ul>{"".join(rows)}</ul></div>'


def _table(result: Result) -> str:
    entries, columns = facts.entries(result), _columns(result)
    first = next((i for i, e in enumerate(entries) if e.is_baseline), None)
    rows = []
    for i, entry in enumerate(entries):
        kinds = [
            *(["chosen"] if entry.name == result["answer"].get("recommended") else []),
            *(["base"] if entry.is_baseline else []),
            *(["first"] if i == first else []),
        ]
        cells = "".join(f"<td>{esc(column[i])}</td>" for _, column in columns)
        long = ' class="long"' if len(entry.label) > 26 else ""
        tag = f' class="{" ".join(kinds)}"' if kinds else ""
        name = f"{icon(entry.look, entry.fill)}{esc(entry.name)}"
        rows.append(f'<tr{tag}><th scope="row"{long}>{name}</th>{cells}</tr>')
    top = "".join(f'<th scope="col">{esc(h)}</th>' for h in ["Candidate", *(head for head, _ in columns)])
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Candidates and baselines"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>"
    )


def _columns(result: Result) -> list[tuple[str, list[str]]]:
    """Headings and their cells; a column in which nothing stands is left out."""
    entries, places = facts.entries(result), facts.decimals(result)
    columns = [
        (facts.metric_of(result), [fmt.score(e.mean, places) or "no score" for e in entries]),
        ("95 % interval", [fmt.interval(e.low, e.high, places) for e in entries]),
        ("Coverage", facts.coverage(result)),
        ("Parameters", [fmt.parameters(e.raw.get("parameters")) for e in entries]),
        ("Train", [fmt.seconds(e.raw.get("train_seconds")) for e in entries]),
        ("Step", [fmt.microseconds(e.raw.get("step_microseconds")) for e in entries]),
        ("Memory", [fmt.megabytes(e.raw.get("peak_memory_mb")) for e in entries]),
    ]
    reached = [fmt.reach(e.raw.get("gradient")) for e in entries]
    if any(reached):
        told = ["baseline" if e.is_baseline else reach for e, reach in zip(entries, reached)]
        columns.append(("Gradient reaches", told))
    return [(head, cells) for head, cells in columns if any(cells)]
