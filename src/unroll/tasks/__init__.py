"""What networks are trained for: data, network, loss, metrics and baselines of each task."""

from unroll.tasks.classify.classifier import Classifier
from unroll.tasks.classify.options import ClassifyData, ClassifyOptions
from unroll.tasks.classify.task import ClassifyTask
from unroll.tasks.contract import Baseline, Errors, Probe, Task, TaskKind, options_dict, options_from
from unroll.tasks.estimator import Estimator
from unroll.tasks.forecast.baselines import LastValue, RidgeAR, SeasonalNaive
from unroll.tasks.forecast.forecaster import Forecaster
from unroll.tasks.forecast.network import Sizes, build_network
from unroll.tasks.forecast.options import DataOptions, ForecastOptions
from unroll.tasks.forecast.problem import ForecastProblem
from unroll.tasks.forecast.scores import METRICS, WindowErrors, score_arrays, scores_of
from unroll.tasks.forecast.task import ForecastTask, prepare_series
from unroll.tasks.network import NetworkOptions, build_encoder, in_double
from unroll.tasks.options import check_known, duration, located, names, source_name, stem
from unroll.tasks.registry import DEFAULT, TASKS, load_run, prepare, task_kind
from unroll.tasks.tag.options import TagData, TagOptions
from unroll.tasks.tag.tagger import Tagger
from unroll.tasks.tag.task import TagTask

__all__ = [
    "DEFAULT",
    "METRICS",
    "TASKS",
    "Baseline",
    "Classifier",
    "ClassifyData",
    "ClassifyOptions",
    "ClassifyTask",
    "DataOptions",
    "Errors",
    "Estimator",
    "ForecastOptions",
    "ForecastProblem",
    "ForecastTask",
    "Forecaster",
    "LastValue",
    "NetworkOptions",
    "Probe",
    "RidgeAR",
    "SeasonalNaive",
    "Sizes",
    "TagData",
    "TagOptions",
    "TagTask",
    "Tagger",
    "Task",
    "TaskKind",
    "WindowErrors",
    "build_encoder",
    "build_network",
    "check_known",
    "duration",
    "in_double",
    "load_run",
    "located",
    "names",
    "options_dict",
    "options_from",
    "prepare",
    "prepare_series",
    "score_arrays",
    "scores_of",
    "source_name",
    "stem",
    "task_kind",
]
