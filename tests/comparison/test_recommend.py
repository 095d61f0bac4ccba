"""What is recommended, by a table of made-up scores."""

import pytest

from unroll.comparison.recommend import Entry, percent, recommend
from unroll.comparison.statistics import Interval


def entry(name, mean, half=0.02, parameters=1000, network=True, **reach):
    interval = Interval(mean, None, None) if half is None or mean is None else Interval(mean, mean - half, mean + half)
    return Entry(name, interval, parameters, network, **reach)


def base(name, mean, half=0.02):
    return entry(name, mean, half, 0, network=False)


def gains_of(entries, half=0.05):
    """Every paired gain as the means say, ``half`` to either side; None: no interval."""
    found = {}
    for a in entries:
        for b in entries:
            if a is not b and a.score.mean is not None and b.score.mean is not None:
                gain = (b.score.mean - a.score.mean) / b.score.mean
                found[a.name, b.name] = Interval(gain, *((None, None) if half is None else (gain - half, gain + half)))
    return found


def answer(*entries, half=0.05, season=None, **changed):
    gains = gains_of(entries, half) | {tuple(k.split(" / ")): v for k, v in changed.items()}
    return recommend(entries, gains, metric="MASE", season=season, unit="weeks")


def test_an_interval_clear_of_all_others_wins():
    found = answer(entry("GRU", 0.6), entry("RNN", 0.8), base("naive", 1.0))
    assert (found.recommended, found.winner, found.warnings) == ("GRU", "GRU", [])
    assert found.sentences == [
        "Use GRU: 40 % better than the best baseline, naive (35 … 45 %), the lowest MASE of the networks."
    ]


def test_overlapping_intervals_have_no_winner():
    found = answer(entry("GRU", 0.60, 0.05), entry("RNN", 0.68, 0.05), base("naive", 1.0))
    assert found.winner is None
    assert "Their intervals overlap, so GRU and RNN have no winner." in found.sentences


def test_of_level_networks_the_one_with_the_fewest_parameters_is_used():
    entries = entry("LSTM", 0.60, 0.1, 4000), entry("GRU", 0.61, 0.1, 3000), entry("RNN", 0.62, 0.1, 1000)
    found = answer(*entries, base("naive", 1.0))
    assert (found.recommended, found.winner) == ("RNN", None)
    assert "level with LSTM at a quarter of its parameters" in found.sentences[0]
    assert "level with GRU at a third of its parameters" in found.sentences[0]


def test_a_smaller_network_that_is_clearly_worse_is_not_used():
    found = answer(entry("LSTM", 0.60, 0.1, 4000), entry("RNN", 0.68, 0.1, 1000), base("naive", 1.0))
    assert found.recommended == "LSTM"


def test_a_smaller_network_not_clearly_better_than_the_baseline_is_not_used():
    """The best one is, so neither the smaller one nor the baseline is recommended."""
    found = answer(entry("LSTM", 0.92, 0.1, 4000), entry("RNN", 0.96, 0.1, 1000), base("naive", 1.0))
    assert found.recommended == "LSTM"
    assert found.warnings == []


@pytest.mark.parametrize("means", [(1.1, 1.2), (0.98, 1.2), (0.98, 0.99)])
def test_a_baseline_is_used_where_no_network_is_clearly_better(means):
    best, other = means
    found = answer(entry("GRU", best, 0.1), entry("RNN", other, 0.1, 10), base("ridge", 1.0, 0.1), base("naive", 1.5))
    assert found.recommended == "ridge"
    assert len(found.warnings) == 1
    assert "the baseline ridge" in found.warnings[0]
    if best > 1:
        assert found.sentences[0] == "Use ridge: no network has a lower MASE."
        assert "No candidate beats the baseline ridge: the best, GRU, has MASE 1.1 against 1." in found.warnings
    else:
        assert found.sentences[0].startswith("Use ridge: GRU is level with it (from 3 % worse to 7 % better)")
        assert (
            "No candidate clearly beats the baseline ridge: GRU has MASE 0.98 against 1, within chance."
            in found.warnings
        )


def test_each_baseline_not_beaten_is_warned_of():
    found = answer(entry("GRU", 1.2), base("ridge", 1.0), base("seasonal naive", 1.1), base("last value", 2.0))
    assert [w.split(":")[0] for w in found.warnings] == [
        "No candidate beats the baseline ridge",
        "No candidate beats the baseline seasonal naive",
    ]


def test_a_baseline_alone_clear_of_the_rest_wins():
    assert answer(entry("GRU", 1.2), entry("RNN", 1.3), base("ridge", 1.0)).winner == "ridge"


def test_without_intervals_there_is_no_winner_and_the_baseline_is_used():
    entries = entry("GRU", 0.6, None), entry("RNN", 0.8, None, 10), base("naive", 1.0, None)
    found = answer(*entries, half=None)
    assert (found.recommended, found.winner) == ("naive", None)
    assert "GRU scores 40 % lower, but there are too few test windows" in found.sentences[0]
    assert found.warnings == []


def test_without_baselines_the_best_network_is_used():
    found = answer(entry("GRU", 0.6), entry("RNN", 0.8))
    assert (found.recommended, found.winner, found.warnings) == ("GRU", "GRU", [])


def test_one_forecaster_alone_wins_nothing():
    assert answer(entry("GRU", 0.6)).winner is None


def test_a_network_without_a_score_is_left_out():
    found = answer(entry("RNN", None), entry("GRU", 0.6), base("naive", 1.0))
    assert found.recommended == found.winner == "GRU"


@pytest.mark.parametrize("entries", [[], [base("naive", 1.0)], [entry("GRU", None), base("naive", 1.0)]])
def test_without_a_trained_network_nothing_is_recommended(entries):
    found = answer(*entries)
    assert (found.recommended, found.winner) == (None, None)
    assert found.sentences == ["No candidate was trained to the end, so nothing can be recommended."]


@pytest.mark.parametrize(
    ("horizon", "span", "season", "said"),
    [(10, 103, 52, True), (51, 52, 52, True), (52, 103, 52, False), (None, 103, 52, False), (10, 40, 52, False),
     (10, 103, None, False), (1, 103, 1, False)],
)  # fmt: skip
def test_a_gradient_that_fades_within_a_season_is_said(horizon, span, season, said):
    found = answer(entry("RNN", 0.6, horizon=horizon, span=span), base("naive", 1.0), season=season)
    sentence = f"RNN hardly sees a whole season: its gradient falls below 1 % after {horizon} of {season} weeks."
    assert (sentence in found.sentences) is said


@pytest.mark.parametrize(
    ("share", "text"), [(0.083, "8 %"), (0.4, "40 %"), (0.004, "0.4 %"), (0.0, "0 %"), (-0.031, "-3 %"), (1.0, "100 %")]
)
def test_percent(share, text):
    assert percent(share) == text


def test_an_answer_is_plain_values():
    found = answer(entry("GRU", 0.6), base("naive", 1.0)).to_dict()
    assert found.keys() == {"recommended", "winner", "sentences", "warnings"}


def sure(name, accuracy, parameters=1000, network=True):
    return Entry(name, Interval(accuracy, accuracy - 0.01, accuracy + 0.01), parameters, network, higher=True)


def by_accuracy(*entries, half=0.01):
    """Gains in accuracy are differences of shares."""
    gains = {}
    for a in entries:
        for b in entries:
            gain = a.score.mean - b.score.mean
            gains[a.name, b.name] = Interval(gain, gain - half, gain + half)
    return recommend(entries, gains, metric="accuracy", season=None, unit="steps")


def test_where_more_is_better_the_highest_is_used_and_gains_are_points():
    found = by_accuracy(sure("RNN", 0.80), sure("GRU", 0.88), sure("linear", 0.85, network=False))
    assert (found.recommended, found.winner, found.warnings) == ("GRU", "GRU", [])
    assert found.sentences[0] == (
        "Use GRU: 3 points better than the best baseline, linear (2 … 4 points), the highest accuracy of the networks."
    )


def test_where_more_is_better_a_baseline_that_is_not_beaten_is_used():
    found = by_accuracy(sure("GRU", 0.84), sure("linear", 0.85, network=False), sure("majority", 0.5, network=False))
    assert found.recommended == "linear"
    assert found.sentences[0] == "Use linear: no network has a higher accuracy."
    assert found.warnings == ["No candidate beats the baseline linear: the best, GRU, has accuracy 0.84 against 0.85."]
