"""What the words of the report mean, in one sentence or two each."""

from __future__ import annotations

from unroll.report import facts
from unroll.report import format as fmt
from unroll.report.facts import Result

_METRICS = {
    "scaled MSE": "Mean squared error of values standardised with the mean and deviation of each series' training "
    "range, as the literature on long horizons prints it.",
    "MASE": "Mean absolute scaled error: the absolute error divided by the mean absolute change over one season in the "
    "training range, then averaged. Below 1 is better than repeating the last season does there.",
    "MAE": "Mean absolute error, in the unit of the target.",
    "RMSE": "Root of the mean squared error, in the unit of the target. Large misses count more.",
    "sMAPE": "Symmetric mean absolute percentage error: twice the absolute error over the sum of the absolute truth "
    "and the absolute forecast, in per cent from 0 to 200.",
    "coverage": "The share of what happened that lay inside the interval around the forecast; best is the share the "
    "interval was made for.",
    "interval width": "Mean distance between the bounds of the interval, in the unit of the target.",
    "MSIS": "Mean scaled interval score: the width of the interval, and for what lies outside of it the distance to it "
    "times 2 over the share allowed outside; all divided as MASE is. Lower is better.",
    "WQL": "Weighted quantile loss: twice the pinball loss of all quantiles over the sum of the absolute truth. Of one "
    "value it is the absolute error over that sum.",
    "pinball": "Pinball loss, mean over the quantiles, in the unit of the target: a quantile q is charged q for every "
    "unit the truth lies above it and 1 - q for every unit below.",
    "quantile coverage": "The share of true values between the lowest and the highest quantile, to be read beside its "
    "nominal share.",
}


def definitions(result: Result) -> list[tuple[str, str]]:
    """Terms in the order in which the page uses them."""
    own = facts.words_of(result).get("definitions")
    if own is not None:
        return [*((str(term), str(text)) for term, text in own), *_needed(result)]
    return [
        *of_metrics(result),
        (
            "Scaled errors",
            "MSE and MAE on values standardised with the mean and deviation of the training range.",
        ),
        (
            "95 % interval",
            "Block bootstrap over test windows and seeds: neighbouring windows are drawn together, because they share "
            "most of their values. Two candidates whose intervals overlap are called level.",
        ),
        *_common(result),
    ]


def of_metrics(result: Result) -> list[tuple[str, str]]:
    """The metrics of forecasts that someone has a score on."""
    known = [(m, _METRICS[m]) for m in facts.metrics(result) if m in _METRICS]
    return [(m, text + _season(result) if m == "MASE" else text) for m, text in known]


def _common(result: Result) -> list[tuple[str, str]]:
    """What every task's page uses."""
    return [
        (
            "Gradient by lag",
            "The size of the gradient of the loss with respect to the state a number of steps back, divided by that at "
            "the last step. The reach is the first lag at which the median is below 1 %. What lies "
            "further back can hardly be learned from.",
        ),
        (
            "Keep-gate timescale",
            "How many steps a unit keeps what it holds, from the mean opening of the gate that keeps: the forget gate "
            "of an LSTM, the update gate of a GRU.",
        ),
        ("One step", "The time to consume one new input and give one output, with a batch of one."),
        ("Peak memory", "The most memory the training process held at once."),
        ("Learning rate", "Chosen for each candidate by validation loss, never by the test range."),
        ("Split and scaling", str(result.get("protocol") or "The result does not say.")),
    ]


_MEASURED = {"Gradient by lag": "gradient", "Keep-gate timescale": "keep", "One step": "step_microseconds"}
_OF_FORECASTS = {
    "Learning rate": "Chosen for each candidate by validation loss, never by the test part.",
    "Split and scaling": "",
}


def _needed(result: Result) -> list[tuple[str, str]]:
    """Of what every task's page may use, that which this one of another task than forecasting does."""
    raw = [e.raw for e in facts.candidates(result)]
    found = []
    for term, text in _common(result):
        if term in _MEASURED and not any(r.get(_MEASURED[term]) for r in raw):
            continue
        name = "Split and what is fitted" if term == "Split and scaling" else term
        found.append((name, _OF_FORECASTS.get(term) or text))
    return found


def _season(result: Result) -> str:
    season = result["task"].get("season")
    if not season:
        return " Here a season is one step."
    source = {"detected": ", detected in the training range", "given": ", as given"}.get(
        result["task"].get("season_source", ""), ""
    )
    return f" Here a season is {fmt.plural(season, 'step')}{source}."
