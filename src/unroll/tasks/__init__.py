"""What networks are trained for: data, network, loss, metrics and baselines of each task."""

from unroll.tasks.baselines import Baseline, LastValue, RidgeAR, SeasonalNaive
from unroll.tasks.forecast import (
    DataOptions,
    ForecastOptions,
    ForecastProblem,
    ForecastTask,
    NetworkOptions,
    build_network,
    data_options,
    in_double,
    options_dict,
    prepare,
    prepare_series,
)
from unroll.tasks.forecaster import Forecaster
from unroll.tasks.options import duration, located, names, source_name, stem
from unroll.tasks.scores import METRICS, WindowErrors, score_arrays, scores_of

__all__ = [
    "METRICS",
    "Baseline",
    "DataOptions",
    "ForecastOptions",
    "ForecastProblem",
    "ForecastTask",
    "Forecaster",
    "LastValue",
    "NetworkOptions",
    "RidgeAR",
    "SeasonalNaive",
    "WindowErrors",
    "build_network",
    "data_options",
    "duration",
    "in_double",
    "located",
    "names",
    "options_dict",
    "prepare",
    "prepare_series",
    "score_arrays",
    "scores_of",
    "source_name",
    "stem",
]
