"""Whatever is wrong with the input: one clear message, exit code 2, and nothing left behind."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .harness import COMPARE, ROWS, TINY, Outcome, apart, assert_one_message, changed, csv, shops, table, tree, unroll

Content = str | bytes
TINY_TRAIN = shlex.join(["train", "sales.csv", *TINY])
TINY_COMPARE = shlex.join(["compare", "sales.csv", *COMPARE])


@dataclass(frozen=True)
class Case:
    """``command`` is refused; the message holds all of ``says``."""

    id: str
    command: str
    says: tuple[str, ...]
    files: dict[str, Content] = field(default_factory=dict)
    harm: Callable[[Path], None] | None = None


def case(id: str, command: str, *says: str, harm: Callable[[Path], None] | None = None, **files: Content) -> Case:
    """Files are given as name_csv=content."""
    return Case(id, command, says, {name.replace("_", "."): content for name, content in files.items()}, harm)


def cut(name: str) -> Callable[[Path], None]:
    """Leave the first half of a file."""

    def harm(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return harm


def put(name: str, content: Content) -> Callable[[Path], None]:
    return lambda folder: _write(folder / name, content)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def swap(name: str, old: str, new: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return harm


FILES = [
    case("missing file", "compare nofile.csv", "no file 'nofile.csv'", "expected a file"),
    case("missing file, near name", "compare salse.csv", "no file 'salse.csv'", "Did you mean 'sales.csv'?"),
    case("missing folder", "compare nowhere/sales.csv", "'nowhere/sales.csv'", "no folder nowhere"),
    case("near data set name", "compare co3", "no file 'co3'", "Did you mean 'co2'?", "`unroll datasets`"),
    case("data set not here", "compare etth1", "'etth1' is not on this machine", "unroll datasets fetch etth1"),
    case("a folder", "compare inner", "inner is a folder", "one file in it", harm=lambda f: (f / "inner").mkdir()),
    case("empty file", "compare a.csv", "a.csv is empty", "a header and rows", a_csv=""),
    case("blank lines only", "compare a.csv", "a.csv is empty", "a header and rows", a_csv="\n\n \n"),
    case("header only", "compare a.csv", "a.csv has a header (date, units) and no rows", a_csv="date,units\n"),
    case("semicolons", "compare a.csv", "single column", "'date;units'", "--delimiter ';'",
         a_csv=table(60).replace(",", ";")),
    case("tabs", "compare a.csv", "single column", "--delimiter tab", a_csv=table(60).replace(",", "\t")),
    case("impossible delimiter", "compare sales.csv --delimiter ;;", "--delimiter ';;'", "one character"),
    case("not UTF-8", "compare a.csv", "a.csv is not UTF-8", "byte 0xff in row 12", "Save it as UTF-8",
         a_csv=changed(12, "2024-01-11,?").encode().replace(b"?", b"\xff")),
    case("UTF-16", "compare a.csv", "a.csv is UTF-16", "Save it as UTF-8", a_csv=table(9).encode("utf-16")),
    case("ragged row", "compare a.csv", "3 cells in row 12 and 2 cells in its header",
         a_csv=changed(12, "2024-01-11,3,4")),
    case("short row", "compare a.csv", "1 cell in row 12", "Complete the row", a_csv=changed(12, "2024-01-11")),
    case("unpaired quote", "compare a.csv", "quote", "row 12", "never closed", a_csv=changed(12, '2024-01-11,"3')),
    case("repeated column", "compare a.csv", "more than one column 'units'", a_csv="a,units,units\n1,2,3\n"),
    case("not a parquet file", "compare a.parquet", "not a parquet file", "rename it to .csv", a_parquet="hello"),
    case("not a gzip file", "compare a.csv.gz", "not a whole gzip file",
         harm=lambda f: (f / "a.csv.gz").write_bytes(b"no") and None),
    case("a spreadsheet", "compare a.xlsx", "'.xlsx'", "expected a .csv", "Save it as .csv", a_xlsx="PK"),
    case("no ending", "compare data", "no file ending", "Rename or convert it", data="a,b"),
]  # fmt: skip

CELLS = [
    case("text among numbers", "compare a.csv", "column 'units' has text in row 12: 'n/a'", "expected a number",
         "--na n/a", a_csv=changed(12, "2024-01-11,n/a")),
    case("decimal comma", "compare a.csv", "column 'units'", "row 12: '3,5'", "decimals with a point: 3.5",
         a_csv=changed(12, '2024-01-11,"3,5"')),
    case("infinite value", "compare a.csv", "column 'units' has inf in row 12", "a finite number",
         a_csv=changed(12, "2024-01-11,inf")),
    case("absurd value", "compare a.csv", "column 'units' has 1e300 in row 12", "1e+30 or less",
         a_csv=changed(12, "2024-01-11,1e300")),
    case("missing value", "compare a.csv", "1 of 60 values are missing", "column 'units' in row 12 (2024-01-11)",
         "--missing carry", a_csv=changed(12, "2024-01-11,NaN")),
    case("gap in time", "compare a.csv", "1 of 60 times are missing", "2024-01-11", "between row 11 and row 12",
         "--missing carry", a_csv=csv(*ROWS[:10], *ROWS[11:])),
    case("duplicate time", "compare a.csv", "row 11 and row 12 have the same time", "'date': 2024-01-10",
         "Remove one", a_csv=changed(12, "2024-01-10,3")),
    case("duplicate time, other series", "compare a.csv --target units", "row 2 and row 7 have the same time",
         "--group shop", a_csv=shops(A=5, B=5)),
    case("unsorted times", "compare a.csv", "row 13 is earlier (2024-01-11) than row 12", "--sort",
         a_csv=csv(*ROWS[:10], ROWS[11], ROWS[10], *ROWS[12:])),
    case("mixed time zones", "compare a.csv", "mixes time zones", "row 2", "row 7", "Write all times in UTC",
         a_csv=csv(*(f"2024-01-01T{h:02}:00:00{'+01:00' if h == 5 else 'Z'},{h % 7}" for h in range(24)))),
    case("unreadable time", "compare a.csv", "column 'date' has a time that cannot be read in row 12: 'soon'",
         "2024-01-31", "--time none", a_csv=changed(12, "soon,3")),
    case("uncertain dates", "compare a.csv", "day first or month first", "ISO dates",
         a_csv=csv(*(f"0{k}/0{k + 1}/2024,{k % 3}" for k in range(1, 9)))),
    case("constant series", "compare a.csv", "series 'units' is constant: 5.0 in all 60 rows", "values that vary",
         a_csv=csv(*(f"{line.split(',')[0]},5" for line in ROWS))),
]  # fmt: skip

COLUMNS = [
    case("unknown target", "compare sales.csv --target unit", "no column 'unit' in sales.csv",
         "Did you mean 'units'?", "date, units"),
    case("target in capitals", "compare sales.csv --target UNITS", "no column 'UNITS'", "Did you mean 'units'?"),
    case("unknown feature", "compare sales.csv --target units --feature prise", "no column 'prise'", "--feature"),
    case("unknown time column", "compare sales.csv --time when", "no column 'when' in sales.csv", "Give --time"),
    case("unknown group column", "compare sales.csv --group shop", "no column 'shop' in sales.csv", "Give --group"),
    case("target of text", "compare sales.csv --target date", "column 'date' has text: '2024-01-01' in row 2"),
    case("target given twice", "compare sales.csv --target units --target units", "'units' is given twice",
         "both times as --target"),
    case("target also a feature", "compare sales.csv --target units --feature units", "'units' is given twice",
         "as --target and as --feature", "Take it out of --feature"),
    case("no numeric column", "compare a.csv", "a.csv has no column of numbers", "date, units", "Give",
         a_csv=csv(*(f"{line.split(',')[0]},red{k}" for k, line in enumerate(ROWS)))),
    case("no target among several", "compare a.csv", "2 columns of numbers: units, price", "--target price",
         a_csv=csv(*(f"{line},{k % 5}" for k, line in enumerate(ROWS)), header="date,units,price")),
]  # fmt: skip

LENGTHS = [
    case("one row", "compare a.csv", "a.csv has 1 row", "two or more", a_csv=table(1)),
    case("two rows", "compare a.csv", "series 'units' has 2 rows", "Give more rows", a_csv=table(2)),
    case("shorter than its window", "compare a.csv --input 20 --horizon 3", "series 'units' has 30 rows",
         "23 or more training rows", "input 20 + horizon 3", "--input", a_csv=table(30)),
    case("some series too short", "compare a.csv --group shop --input 6 --horizon 3", "series 'B' has 9 rows",
         "series 'C' has 8 rows", "9 or more training rows", "--skip-bad-series", a_csv=shops(A=60, B=9, C=8, D=60)),
    case("many series too short", "compare a.csv --group shop --input 6 --horizon 3", "series 'S0' has 9 rows",
         "and 2 more of 6 series", "--skip-bad-series", a_csv=shops(**{f"S{k}": 9 for k in range(5)}, L=60)),
    case("every series too short", "compare a.csv --group shop --horizon 30 --skip-bad-series",
         "no series is long enough", "has 60 rows", "--horizon", a_csv=shops(A=60, B=50)),
    case("horizon longer than the data", "compare sales.csv --horizon 1000", "series 'units' has 60 rows",
         "1,000 or more in each of valid and test", "Give --horizon 9"),
    case("input longer than the data", "compare sales.csv --input 1000 --horizon 6", "has 60 rows", "Give --input 36"),
    case("three rows", "compare a.csv", "series 'units' has 3 rows", "4 at the very least", a_csv=table(3)),
    case("split longer than the data", "compare sales.csv --split 1000,9,9", "has 60 rows", "1,018 or more"),
    case("split without validation rows", "compare sales.csv --split .99,.005,.005", "59 train, 0 valid, 1 test",
         "rest,15,15"),
]  # fmt: skip

OPTIONS = [
    case("horizon 0", "compare sales.csv --horizon 0", "--horizon 0", "1 or more"),
    case("horizon -1", "compare sales.csv --horizon -1", "--horizon -1", "1 or more"),
    case("input 0", "compare sales.csv --input 0", "--input 0", "1 or more"),
    case("season 0", "compare sales.csv --season 0", "--season 0", "above 0"),
    case("split of one part", "compare sales.csv --split .8", "--split .8 has 1 part", "0.7,0.15,0.15"),
    case("split of words", "compare sales.csv --split a,b,c", "--split a,b,c contains 'a'", "three fractions"),
    case("split above 1", "compare sales.csv --split .7,.7,.7", "sums to 2.1", "at most 1"),
    case("split with an empty part", "compare sales.csv --split .9,0,.1", "--split .9,0,.1", "--split 0.7,0.15,0.15"),
    case("split of two rests", "compare sales.csv --split rest,rest,9", "says rest more than once", "rest,48,48"),
    case("split of mixed kinds", "compare sales.csv --split .5,9,9", "mixes fractions and row counts"),
    case("unknown cell", "compare sales.csv --cell gruu", "unknown cell 'gruu'", "Did you mean 'gru'?", "rnn, "),
    case("unknown cell to train", "train sales.csv --cell gruu", "unknown cell 'gruu'", "Did you mean 'gru'?"),
    case("cell of no module", "compare sales.csv --cell no_such:Cell", "cannot import the cell 'no_such:Cell'",
         "No module named 'no_such'", "package.module:Class"),
    case("cell not in its module", "train sales.csv --cell json:Cell", "cannot import the cell 'json:Cell'"),
    case("cell whose module fails", "train sales.csv --cell broken:Cell", "cannot import the cell 'broken:Cell'",
         "boom", harm=put("broken.py", "raise RuntimeError('boom')")),
    case("cell that is none", "compare sales.csv --cell json:dumps", "'json:dumps' is not a cell", "unroll.nn.Cell"),
    case("cell that cannot be built", "compare sales.csv --cell unroll.nn:Cell", "unroll.nn:Cell"),
    case("cell given twice", "compare sales.csv --cell gru --cell gru", "--cell gru, gru", "different cells"),
    case("unknown match", "compare sales.csv --match width", "--match width", "hidden or params"),
    case("unknown loss", "compare sales.csv --loss mea", "'mea'", "expected mse or mae"),
    case("unknown metric", "compare sales.csv --metric MAPE", "unknown metric 'MAPE'", "Did you mean", "MASE"),
    case("unknown missing", "compare sales.csv --missing drop", "--missing drop", "error, carry or mask"),
    case("unknown layout", "compare sales.csv --layout wide", "'wide'", "long or rows", "--layout long"),
    case("budget of letters", "compare sales.csv --budget abc", "--budget abc", "90s, 2m or 1h"),
    case("budget 0", "compare sales.csv --budget 0", "--budget 0", "above 0", "90s, 2m or 1h"),
    case("seeds 0", "compare sales.csv --seeds 0", "--seeds 0", "1 or more"),
    case("workers 0", "compare sales.csv --workers 0", "--workers 0", "1 or more"),
    case("seed -1", "train sales.csv --seed -1", "--seed -1", "from 0"),
    case("seed too large", "train sales.csv --seed 99999999999999999999", "--seed 99999999999999999999", "from 0"),
    *(
        case(f"season {season}", f"train sales.csv --season {season}", f"--season {season} with 60 rows",
             "shorter --season")
        for season in (60, 99999999999999999999)
    ),
    case("lr to train with inf", "train sales.csv --lr inf", "--lr inf", "below 10"),
    *(
        case(f"{name} {value} to {job}", f"{job} sales.csv --{name} {value}", f"--{name} {value}", said)
        for job in ("compare", "train")
        for name, value, said in (
            ("lr", "0", "above 0"), ("lr", "-1", "above 0"), ("lr", "nan", "above 0"),
            ("hidden", "0", "above 0"), ("layers", "0", "above 0"), ("dropout", "1", "below 1"),
            ("dropout", "-1", "below 1"), ("epochs", "0", "1 or more"), ("patience", "0", "1 or more"),
            ("batch-size", "0", "1 or more"),
        )
    ),
]  # fmt: skip

USAGE = [
    case("unknown option", "compare sales.csv --los mae", "no such option --los", "Did you mean --loss?",
         "unroll compare --help"),
    case("unknown option, far from all", "compare --zzz", "no such option --zzz", "unroll compare --help"),
    case("unknown command", "compar sales.csv", "no such command 'compar'", "Did you mean 'compare'?"),
    case("unknown command of datasets", "datasets lst", "no such command 'lst'", "Did you mean 'list'?"),
    case("a word for a number", "compare sales.csv --seeds three", "--seeds three", "expected a whole number"),
    case("a fraction for a whole number", "train sales.csv --hidden 1.5", "--hidden 1.5", "a whole number"),
    case("a word for a rate", "train sales.csv --lr fast", "--lr fast", "expected a number"),
    case("option without its value", "compare sales.csv --target", "--target has no value", "unroll compare --help"),
    case("a value where none goes", "compare sales.csv --sort=yes", "--sort", "does not take a value"),
    case("too many arguments", "compare sales.csv more.csv", "unexpected argument more.csv"),
    case("no data", "compare", "no data given", "--config FILE"),
    case("no run", "predict", "no RUN given", "Folder of a training".lower()),
    case("no name", "datasets fetch", "no NAME given", "unroll datasets fetch --help"),
    case("unknown data set", "datasets fetch co3", "no data set 'co3'", "Did you mean 'co2'?"),
    case("data sets nowhere", "datasets use nowhere", "no", "nowhere", "a folder or file"),
]  # fmt: skip

PLACES = [
    case("folder that is not a run", "train sales.csv --out inner", "inner holds files that are not a run",
         "Give another --out", harm=lambda f: (f / "inner").mkdir() or _write(f / "inner" / "mine.txt", "x")),
    case("folder that is a file", f"{TINY_TRAIN} --out sales.csv", "sales.csv", "--out"),
    case("folder below a file", f"{TINY_TRAIN} --out sales.csv/run", "cannot write sales.csv/run", "not a directory",
         "--out"),
    case("folder no one may write", f"{TINY_COMPARE} --out /proc/unroll", "cannot write /proc/unroll", "--out"),
    case("config that is not there", "compare --config no.yaml", "no such file: no.yaml", "config.yaml"),
    case("config that is data", "compare --config sales.csv", "sales.csv is not", "expected"),
]  # fmt: skip

RUNS = [
    case("no run there", "predict nothing", "no run in nothing", "config.yaml"),
    case("run is a data file", "predict sales.csv", "no run in sales.csv"),
    case("run is a trial", "evaluate both/trials/gru-4x1-lr0.01-seed0", "is a trial", "a training or a comparison"),
    case("another version", "predict run", "run/config.yaml has schema 99", "expected schema 1",
         "the version that made it", harm=swap("run/config.yaml", "schema: 1", "schema: 99")),
    case("another version to continue", f"{TINY_TRAIN} --out run", "run/config.yaml has schema 99", "--overwrite",
         harm=swap("run/config.yaml", "schema: 1", "schema: 99")),
    case("another version to repeat", "train --config run", "run/config.yaml has schema 99",
         harm=swap("run/config.yaml", "schema: 1", "schema: 99")),
    *(
        case(f"{name} of {run} cut short", f"predict {run}", f"{run}/{name}", "--overwrite", harm=cut(f"{run}/{name}"))
        for run, name in (
            ("run", "config.yaml"), ("run", "data.json"), ("run", "model.safetensors"),
            ("both", "config.yaml"), ("both", "data.json"), ("both", "result.json"),
        )
    ),
    case("config without its parts", "predict run", "run/config.yaml", "--overwrite",
         harm=swap("run/config.yaml", "network:", "netwerk:")),
    case("config without its parts to repeat", "train --config run", "run/config.yaml",
         harm=swap("run/config.yaml", "network:", "netwerk:")),
    case("config with a word for a number", "predict run", "run/config.yaml",
         harm=swap("run/config.yaml", "hidden: 4", "hidden: four")),
    case("data record of another shape", "predict run", "data.json", harm=put("run/data.json", "[]")),
    case("result of another shape", "predict both", "both/result.json", harm=put("both/result.json", "{}")),
    case("finished run whose result is cut", f"{TINY_COMPARE} --out both", "both/result.json", "--overwrite",
         harm=cut("both/result.json")),
    case("finished run whose result is of another shape", f"{TINY_TRAIN} --out run", "run/result.json", "--overwrite",
         harm=put("run/result.json", "{}")),
    case("weights of another network", "predict run", "model.safetensors does not fit",
         harm=swap("run/config.yaml", "hidden: 4", "hidden: 5")),
    case("training not finished", "predict run", "run", "not finished", "continues",
         harm=without("run/model.safetensors")),
    case("training barely begun", "predict run", "run has no data.json", "not finished", "continues",
         harm=without("run/data.json")),
    case("comparison not finished", "predict both", "both has no result.json", "not finished", "continues",
         harm=without("both/result.json")),
    case("config of a comparison", "train --config both", "both/config.yaml is of a comparison", "of a training"),
    case("config of a training", "compare --config run/config.yaml", "run/config.yaml is of a training"),
    case("another run in the folder", f"{TINY_TRAIN} --out run --lr .5", "run holds another run", "lr", "0.003", "0.5",
         "--overwrite"),
    case("another kind in the folder", f"{TINY_COMPARE} --out run", "run holds another run", "kind", "training",
         "comparison"),
    case("other data in the folder", f"{TINY_COMPARE} --out both", "both was begun on other data", "sales.csv",
         "--overwrite", harm=put("sales.csv", table(61))),
    case("run whose data is gone", "predict run", "no file 'sales.csv'", harm=without("sales.csv")),
    case("predict from another table", "predict run a.csv", "column 'units' has text: 'red'", "row 2",
         a_csv=csv("2024-01-01,red")),
    case("predict without the column", "predict run a.csv", "no column 'units' in a.csv", "date, sales",
         a_csv=table(9, "date,sales")),
    case("score what training saw", "evaluate run a.csv", "series 'units'", "0 rows after", "2 or more",
         a_csv=table(30)),
    case("forecast to a folder", "predict run --out both", "cannot write both", "is a directory"),
]  # fmt: skip


@pytest.mark.parametrize("given", [*FILES, *CELLS, *COLUMNS, *LENGTHS, *OPTIONS, *USAGE, *PLACES], ids=lambda c: c.id)
def test_bad_input_gives_one_clear_message_and_leaves_nothing(folder, given):
    _assert_refused(folder, given)


@pytest.mark.parametrize("given", RUNS, ids=lambda c: c.id)
def test_a_bad_run_folder_gives_one_clear_message_and_stays_as_it_is(runs, given):
    _assert_refused(runs, given)


def test_an_error_is_ascii_where_the_terminal_is(folder):
    """Nor does a cell of the data send a control sequence to the terminal."""
    (folder / "prix.csv").write_text(changed(12, "2024-01-11,cinq €\x1b[31m"))
    outcome = unroll("compare", "prix.csv", encoding="ascii")
    assert_one_message(outcome, "row 12: 'cinq \\u20ac\\x1b[31m'")
    done = apart("comparé", cwd=folder, PYTHONIOENCODING="ascii")
    assert_one_message(Outcome(done.returncode, done.stdout, done.stderr), "'compar\\xe9'", "Did you mean 'compare'?")


def _assert_refused(folder: Path, given: Case) -> None:
    for name, content in given.files.items():
        _write(folder / name, content)
    if given.harm is not None:
        given.harm(folder)
    before = tree(folder)
    assert_one_message(unroll(*shlex.split(given.command)), *given.says)
    assert tree(folder) == before


def _write(path: Path, content: Content) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
