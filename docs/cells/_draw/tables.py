"""The tables that the pages show, from the registered cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from _draw import formula
from unroll.nn import CELLS, CellEntry, LSTMCell

PAGE_SIZES = ((3, 4), (3, 64))
SIZES = ((3, 4), (1, 50), (10, 20), (64, 64), (300, 512))
"""(I, H). The first three are those of the guides' exercises X1, X9 and X6."""
HEADS = ("rnn", "lstm", "gru", "mgu", "janet", "indrnn", "sru", "qrnn")
"""One cell of every family, for what all of the family share."""


def parameters(entries: Sequence[CellEntry]) -> str:
    """One table for all entries that have the same parameters."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        groups.setdefault(_of_one(entry), []).append(f"`{entry.name}`")
    return "\n\n".join(f"{', '.join(names)}:\n\n{table}" for table, names in groups.items())


def _of_one(entry: CellEntry) -> str:
    sized = [entry.make(*size) for size in PAGE_SIZES]
    held = [dict(cell.named_parameters()) for cell in sized]
    rows = []
    for name, shape in formula.shapes(entry).items():
        dimensions = ", ".join(map(str, shape))
        rows.append([f"`{name}`", f"({dimensions})", str(formula.count(shape)), *(_n(p[name].numel()) for p in held)])
    totals = [sum(p.numel() for p in parameters.values()) for parameters in held]
    rows.append(["all", "", f"**{formula.total(entry)}**", *(f"**{_n(n)}**" for n in totals)])
    return _table("lllrr", ["parameter", "shape", "numbers", *(f"I = {i}, H = {h}" for i, h in PAGE_SIZES)], rows)


def counts() -> str:
    """Parameters of every registered cell, and how many times the RNN's and the LSTM's that is."""
    rnn, lstm = (_counts(CELLS[name]) for name in ("rnn", "lstm"))
    rows = []
    for entry in CELLS.values():
        own = _counts(entry)
        ratios = [_range(n / m for n, m in zip(own, other)) for other in (rnn, lstm)]
        rows.append([f"`{entry.name}`", str(formula.total(entry)), *map(_n, own), *ratios])
    head = ["cell", "parameters", *(f"{i}, {h}" for i, h in SIZES), "/ RNN", "/ LSTM"]
    return _table("ll" + "r" * (len(head) - 2), head, rows)


def claims() -> str:
    """C5 and C6: the guides' formula beside the code, and the GRU beside the LSTM."""
    rows = []
    for (i, h), rnn, lstm, gru in zip(SIZES, *(_counts(CELLS[name]) for name in ("rnn", "lstm", "gru"))):
        guide, without = 4 * (i + h + 1) * h, _size(LSTMCell(i, h, bias=False))
        sizes = map(_n, (guide, lstm, lstm - guide, without))
        rows.append([f"{i}, {h}", *sizes, _ratio(lstm / rnn), f"{100 * (1 - gru / lstm):.1f} %"])
    head = ["I, H", "4·(I + H + 1)·H", "LSTM", "more by", "LSTM without bias", "LSTM / RNN", "GRU below LSTM"]
    return _table("lrrrrrr", head, rows)


def stored() -> str:
    """C7: numbers per time step, as multiples of n = H, and of I where an input is kept."""
    rows = []
    for name in HEADS:
        state, signals = formula.numbers(CELLS[name])
        carried, computed = state.values(), signals.values()
        together = _multiple([*carried, *computed])
        rows.append([f"`{name}`", _names(state), _multiple(carried), _names(signals), _multiple(computed), together])
    return _table("llrlrr", ["cell", "state", "numbers", "signals", "numbers", "together"], rows)


def _counts(entry: CellEntry) -> list[int]:
    return [_size(entry.make(*size)) for size in SIZES]


def _size(cell: object) -> int:
    return sum(p.numel() for p in cell.parameters())  # type: ignore[attr-defined]


def _names(values: Iterable[str]) -> str:
    return ", ".join(values)


def _multiple(parts: Iterable[formula.Dimension]) -> str:
    """``"2n + I"``."""
    parts = list(parts)
    counts = ((sum(part.hidden for part in parts), "n"), (sum(part.inputs for part in parts), "I"))
    return " + ".join(name if count == 1 else f"{count}{name}" for count, name in counts if count)


def _range(values: Iterable[float]) -> str:
    low, *_, high = sorted(values)
    return _ratio(low) if _ratio(low) == _ratio(high) else f"{_ratio(low)} … {_ratio(high)}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _n(value: int) -> str:
    return f"{value:,}"


def _table(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; ``columns`` has an l for each column of words and an r for each of numbers."""
    rule = "|".join({"l": "---", "r": "---:"}[column] for column in columns)
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])
