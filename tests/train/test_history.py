"""``metrics.jsonl``."""

import json

import pytest

from unroll.errors import RunError
from unroll.train import History, read_history

RECORDS = [{"epoch": k, "valid_loss": 1 / 3**k} for k in range(1, 5)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return path


def test_records_come_back_exactly(path):
    assert read_history(path) == RECORDS


def test_no_file_is_no_record(tmp_path):
    assert read_history(tmp_path / "metrics.jsonl") == []


def test_a_last_line_cut_anywhere_is_passed_over(path):
    content = path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    for missing in range(2, len(last)):
        path.write_bytes(content[:-missing])
        assert read_history(path) == RECORDS[:-1]


def test_rewinding_keeps_the_first_epochs(path):
    history = History(path)
    history.rewind(2)
    assert history.records == read_history(path) == RECORDS[:2]
    history.append(RECORDS[2])
    assert read_history(path) == RECORDS[:3]


def test_rewinding_mends_a_line_cut_short(path):
    path.write_bytes(path.read_bytes()[:-5])
    history = History(path)
    history.rewind(9)
    history.append(RECORDS[3])
    assert read_history(path) == RECORDS


def test_without_a_path_records_are_kept_in_memory():
    history = History(None)
    history.append(RECORDS[0])
    assert history.records == RECORDS[:1]
    history.rewind(0)
    assert history.records == []


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        History(tmp_path / "file" / "metrics.jsonl").append(RECORDS[0])
