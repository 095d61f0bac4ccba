"""Numbers as a reader sees them, and the looks that never change."""

from __future__ import annotations

import itertools

import pytest

from unroll.report import format as fmt
from unroll.report import style
from unroll.report.charts.parts import log_ticks, spread


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (fmt.parameters(0), "0"), (fmt.parameters(52), "52"), (fmt.parameters(13132), "13.1 k"),
        (fmt.parameters(4428), "4.4 k"), (fmt.parameters(130_000), "130 k"), (fmt.parameters(1_200_000), "1.2 M"),
        (fmt.parameters(999_999), "1.0 M"), (fmt.parameters(None), ""),
        (fmt.seconds(0.1), "0.1 s"), (fmt.seconds(0.01), "< 0.1 s"), (fmt.seconds(9.2), "9 s"),
        (fmt.seconds(21.0), "21 s"), (fmt.seconds(141), "2.4 min"), (fmt.seconds(11_160), "3.1 h"),
        (fmt.seconds(0), ""), (fmt.seconds(None), ""),
        (fmt.microseconds(4.0), "4 µs"), (fmt.microseconds(40.1), "40 µs"), (fmt.microseconds(1234), "1.2 ms"),
        (fmt.megabytes(310.4), "310 MB"), (fmt.megabytes(2100), "2.1 GB"),
        (fmt.significant(0.61234), "0.612"), (fmt.significant(1234.5), "1,234"), (fmt.significant(0.0), "0"),
        (fmt.significant(1.234e-9), "1.23e-9"), (fmt.significant(None), "–"), (fmt.significant(-0.5), "-0.5"),
        (fmt.reach({"horizon": 1, "span": 9}), "1 step"), (fmt.reach({"horizon": None, "span": 103}), "> 103 steps"),
        (fmt.listing(["a", "b", "c"]), "a, b and c"), (fmt.listing([]), ""),
        (fmt.shorten("abcdefghij", 6), "abcd…j"), (fmt.shorten("abc", 6), "abc"),
        (fmt.clean("a\x07b\u202ec\nd"), "a[U+0007]b[U+202E]c d"),
    ],
)  # fmt: skip
def test_format(shown: str, wanted: str) -> None:
    assert shown == wanted


def test_decimals_follow_the_interval() -> None:
    assert fmt.decimals_of([(0.612, 0.58, 0.64), (1.713, None, None)]) == 2
    assert fmt.decimals_of([(317.2, 300.0, 330.0), (400.0, None, None)]) == 0
    assert fmt.decimals_of([(0.0612, 0.0608, 0.0615)]) == 4
    assert fmt.decimals_of([]) == 2
    assert fmt.decimals_of([(0.0612, 0.0608, 0.0615), (7.8e-15, 6.9e-15, 8.7e-15)]) == 4
    assert fmt.decimals_of([(0.0, 0.0, 0.0)]) == 2


def test_what_is_next_to_nothing_does_not_read_as_zero():
    assert fmt.score(7.8e-15, 4) == "7.8e-15"
    assert fmt.interval(0.0, 8.71e-15, 4) == "0.0000 … 8.7e-15"
    assert fmt.score(0.0003, 2) == "0.00"
    assert fmt.score(0.0, 2) == "0.00"
    assert fmt.score(250.0, 2) == "250"
    assert fmt.score(0.6, 2) == "0.60"


@pytest.mark.parametrize(
    ("cell", "look"),
    [
        ("rnn", style.RNN), ("rnn_relu", style.RNN), ("lstm", style.LSTM), ("gru", style.GRU),
        ("gru_reset_before", style.GRU), ("transformer", style.TRANSFORMER), ("mamba2", style.STATE_SPACE),
        ("ltc", style.CONTINUOUS), ("my_own", style.OTHER), (None, style.OTHER),
    ],
)  # fmt: skip
def test_a_family_keeps_its_look(cell: str | None, look: style.Look) -> None:
    assert style.look_of(cell) is look


def test_looks_can_be_told_apart() -> None:
    for theme in ("light", "dark"):
        families = [
            style.RNN,
            style.LSTM,
            style.GRU,
            style.TRANSFORMER,
            style.STATE_SPACE,
            style.CONTINUOUS,
            style.OTHER,
        ]
        assert len({getattr(f, theme) for f in families}) == len({f.mark for f in families}) == len(families)
    assert len({look.light for look in style.LOOKS}) == len(style.LOOKS)


def test_labels_do_not_collide_and_stay_inside() -> None:
    places = spread([10.0, 11.0, 12.0, 200.0, 299.0, 299.0], 19, 4, 296)
    ordered = sorted(places)
    assert all(b - a >= 19 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert ordered[0] >= 4
    assert ordered[-1] <= 296
    assert places[3] == 200.0


def test_log_ticks_are_few_and_round() -> None:
    assert log_ticks((0.19, 1.1)) == [0.2, 0.3, 0.5, 0.7, 1.0]
    assert len(log_ticks((1e-6, 1e3))) <= 10
