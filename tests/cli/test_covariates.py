"""Known, static and missing values and irregular times on the command line, as a person types them."""

import csv
import datetime as dt
import io
import json
import math
import random

import pytest

from .harness import apart, unroll

TINY = ["--epochs", "2", "--hidden", "4", "--horizon", "3", "--input", "6"]
KNOWN = ["--target", "units", "--known", "price", "--known", "holiday", "--static", "town", "--group", "shop"]
START = dt.datetime(2024, 1, 30, 12)


def sales(rows: int = 70, later: int = 3, *, irregular: bool = False, holes: bool = False) -> str:
    """Two shops by the day, ``later`` rows without units at the end of each."""
    rng, text = random.Random(0), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["day", "shop", "town", "units", "price", "holiday"])
    for shop, town in (("A", "Oslo"), ("B", "부산")):
        at = START
        for k in range(rows + later):
            at += dt.timedelta(minutes=rng.randint(1, 90)) if irregular else dt.timedelta(days=1)
            price, holiday = 3 + rng.random(), int(k % 6 == 2)
            units = f"{9 - price + holiday + math.sin(k):.4f}" if k < rows else ""
            writer.writerow([at, shop, town, "" if holes and k % 8 == 3 else units, f"{price:.3f}", holiday])
    return text.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with sales.csv and a finished training of it, run."""
    folder = tmp_path_factory.mktemp("covariates")
    (folder / "sales.csv").write_text(sales(), encoding="utf-8")
    (folder / "short.csv").write_text(sales(later=1), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = unroll("train", "sales.csv", *KNOWN, *TINY, "--calendar", "weekday", "--out", "run")
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "100")
    return home


def test_what_was_told_is_in_the_result(here):
    result = json.loads((here / "run" / "result.json").read_text())
    assert result["task"]["known"] == ["price", "holiday"]
    assert result["task"]["static"] == ["town"]
    assert result["task"]["calendar"] == ["weekday"]
    assert "known and read: price, holiday, weekday sin, weekday cos" in result["protocol"]
    assert "'town' as one of 2 categories" in result["protocol"]
    assert any("up to 3 rows after the last target" in note for note in result["data"]["notes"])
    assert "ridge ARX(6)" in (here / "run" / "report.html").read_text()


def test_the_rows_without_units_are_forecast(here):
    outcome = unroll("predict", "run")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    asked = [r for r in csv.DictReader(io.StringIO((here / "sales.csv").read_text())) if not r["units"]]
    assert [(r["shop"], r["day"][:10]) for r in rows] == [(r["shop"], r["day"][:10]) for r in asked]
    assert unroll("predict", "run", "sales.csv").out == outcome.out


def test_too_short_a_future_is_drawn(here):
    outcome = unroll("predict", "run", "short.csv")
    assert outcome.code == 2
    lines = outcome.err.splitlines()
    assert any(line.strip().startswith("known    price +1") and line.endswith("░░") for line in lines)
    assert max(map(len, lines)) <= 100
    assert "Add these rows to the data." in outcome.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_the_drawing_has_a_form_in_ascii(here, encoding):
    outcome = unroll("predict", "run", "short.csv", encoding=encoding)
    known = next(line for line in outcome.err.splitlines() if line.strip().startswith("known"))
    assert set(known.split()[-1]) == {"#", "?"}
    assert "# there  ? needed and missing" in outcome.err
    assert "\\u" not in outcome.err


def test_a_run_is_repeated_from_its_config(here):
    outcome = unroll("train", "--config", "run", "--out", "again", "--json")
    assert outcome.code == 0, outcome.err
    first = json.loads((here / "run" / "result.json").read_text())
    assert json.loads(outcome.out)["candidates"][0]["scores"] == first["candidates"][0]["scores"]


def test_a_comparison_on_two_workers(here):
    asked = [
        "--cell",
        "gru",
        "--cell",
        "rnn",
        "--seeds",
        "1",
        "--lr",
        ".01",
        "--workers",
        "2",
        "--out",
        "both",
        "--json",
    ]
    done = apart("compare", "sales.csv", *KNOWN, *TINY, *asked, cwd=here)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {c["name"] for c in result["candidates"]} == {"GRU 4", "RNN 4"}
    assert unroll("predict", "both", "sales.csv").code == 0
    assert unroll("evaluate", "both", "sales.csv", "--json").code == 0


def test_masks_and_irregular_times(here):
    (here / "odd.csv").write_text(sales(irregular=True, holes=True), encoding="utf-8")
    asked = ["--target", "units", "--known", "price", "--group", "shop", "--times", "irregular"]
    refused = unroll("train", "odd.csv", *asked, *TINY, "--out", "odd")
    assert "values are missing" in refused.message
    outcome = unroll("train", "odd.csv", *asked, *TINY, "--missing", "mask", "--since", "--out", "odd", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert "whether it was observed and how long before it was observed: units." in found["protocol"]
    assert "seasonal naive: where times are irregular, no number of rows is a season" in str(found["data"]["notes"])
    assert unroll("predict", "odd").out.count("\n") == 1 + 2 * 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--known", "prise"], "Did you mean 'price'?"),
        (["--known", "town"], "column 'town' has text"),
        (["--static", "price"], "static column 'price' changes within series 'A'"),
        (["--missing", "masks"], "expected error, carry or mask"),
        (["--since"], "Give --missing mask"),
        (["--calendar", "moon"], "expected some of minute, hour, weekday"),
        (["--times", "irregular", "--season", "7"], "--season 7 with irregular times"),
    ],
)
def test_what_a_person_may_get_wrong(here, options, said):
    outcome = unroll("train", "sales.csv", "--target", "units", "--group", "shop", *TINY, "--out", "never", *options)
    assert outcome.code == 2
    assert said in outcome.message
    assert not (here / "never").exists()
