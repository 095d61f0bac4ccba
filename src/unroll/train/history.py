"""``metrics.jsonl``: one record per epoch, append-only while a run lives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unroll.files import not_writable, write_text


class History:
    """The records of a run, kept in memory and, if ``path`` is given, on disk line by line.

    One of several processes ``keeps`` the file; the others read it.
    """

    def __init__(self, path: Path | None, *, keeps: bool = True) -> None:
        self.path, self._keeps = path, keeps
        self.records: list[dict[str, Any]] = []

    def append(self, record: dict[str, Any]) -> None:
        """Add a record; on disk it is one whole line or nothing."""
        self.records.append(record)
        if self.path is None or not self._keeps:
            return
        try:
            with open(self.path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
        except OSError as error:
            raise not_writable(self.path, error) from error

    def rewind(self, epoch: int) -> None:
        """Keep the records of the first ``epoch`` epochs: what came later will be run again."""
        self.records = [r for r in read_history(self.path) if r["epoch"] <= epoch] if self.path else []
        if self.path is not None and self._keeps:
            write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records))


def read_history(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a ``metrics.jsonl``; a last line cut short by a kill is passed over."""
    if not path.exists():
        return []
    return list(_records(path.read_text(encoding="utf-8").splitlines()))


def _records(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            return
