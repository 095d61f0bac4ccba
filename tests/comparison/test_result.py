"""result.json: every key, of its type, and nothing that JSON cannot say."""

import json
import math

import numpy as np
import pytest

from comparison.making import DATA, FORECAST, OPTIONS, timeless
from unroll import Forecaster, api
from unroll.comparison import Comparison
from unroll.comparison.run import comparison_config
from unroll.errors import RunError
from unroll.tasks import METRICS, LastValue, SeasonalNaive, prepare
from unroll.train import RunFolder

NUMBER, MAYBE = (int, float), (int, float, type(None))
SCORES = {name: {"mean": MAYBE, "low": MAYBE, "high": MAYBE} for name in ("MASE", "MAE", "RMSE", "sMAPE")}
SCALED = {"MSE": NUMBER, "MAE": NUMBER}
PARTS = {"train": int, "valid": int, "test": int}
QUARTILES = {"median": [MAYBE], "q25": [MAYBE], "q75": [MAYBE]}
SEED = {
    "seed": int,
    "scores": dict.fromkeys(SCORES, NUMBER),
    "epochs": int,
    "best_epoch": int,
    "train_seconds": NUMBER,
    "stopped": str,
}
CANDIDATE = {
    "name": str,
    "cell": str,
    "hidden": int,
    "layers": int,
    "lr": NUMBER,
    "lr_search": [{"lr": NUMBER, "valid_loss": MAYBE}],
    "parameters": int,
    "train_seconds": NUMBER,
    "step_microseconds": NUMBER,
    "peak_memory_mb": MAYBE,
    "scores": SCORES,
    "scaled": SCALED,
    "seeds": [SEED],
    "curves": [{"seed": int, "epoch": [int], "train_loss": [MAYBE], "valid_loss": [MAYBE]}],
    "gradient": {"lags": [int], **QUARTILES, "at_start": QUARTILES, "horizon": (int, type(None)), "span": int},
    "keep": (dict, type(None)),
}
KEEP = {
    "gate": str,
    "tau": dict.fromkeys(("q10", "q25", "median", "q75", "q90"), NUMBER),
    "longest": NUMBER,
    "at_start": {"median": NUMBER},
}
RESULT = {
    "schema": int,
    "kind": str,
    "unroll": str,
    "name": str,
    "task": {
        "name": str,
        "targets": [str],
        "features": [str],
        "horizon": int,
        "input": int,
        "season": (int, type(None)),
        "season_source": str,
        "metric": str,
        "match": str,
    },
    "data": {
        "source": str,
        "fingerprint": str,
        "series": int,
        "rows": int,
        "missing": int,
        "unit": str,
        "split": PARTS,
        "windows": PARTS,
        "notes": [str],
    },
    "protocol": str,
    "answer": {
        "recommended": (str, type(None)),
        "winner": (str, type(None)),
        "sentences": [str],
        "warnings": [str],
    },
    "candidates": [CANDIDATE],
    "baselines": [{"name": str, "parameters": int, "train_seconds": NUMBER, "scores": SCORES, "scaled": SCALED}],
    "examples": [
        {
            "series": str,
            "target": str,
            "history_times": [str],
            "history": [MAYBE],
            "times": [str],
            "truth": [MAYBE],
            "forecasts": dict,
        }
    ],
    "failures": [{"candidate": str, "seed": int, "why": str}],
    "repeat": {
        "command": str,
        "config": dict,
        "seeds": [int],
        "versions": dict,
        "machine": {
            "processor": str,
            "cores": int,
            "memory_gb": MAYBE,
            "workers": int,
            "threads_per_worker": int,
            "instruction_sets": [str],
        },
        "started": str,
        "seconds": NUMBER,
        "budget_seconds": MAYBE,
    },
}


def check(found, schema, path="result"):
    if isinstance(schema, dict):
        assert isinstance(found, dict), path
        assert not schema.keys() - found.keys(), f"{path} lacks {schema.keys() - found.keys()}"
        for key, inner in schema.items():
            check(found[key], inner, f"{path}.{key}")
    elif isinstance(schema, list):
        assert isinstance(found, list), path
        for k, item in enumerate(found):
            check(item, schema[0], f"{path}[{k}]")
    else:
        assert isinstance(found, schema), f"{path} is {found!r}"
        assert not isinstance(found, bool), path


def test_has_every_key(whole):
    check(whole.result, RESULT)
    for candidate in whole.result["candidates"]:
        if candidate["keep"] is not None:
            check(candidate["keep"], KEEP, candidate["name"])
    assert [c["keep"] is None for c in whole.result["candidates"]] == [True, False]


def test_is_what_the_file_holds_in_strict_json(whole):
    def refuse(word):
        raise AssertionError(f"result.json holds {word}")

    text = (whole.folder / "result.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == whole.result


def test_lists_are_as_long_as_they_say(whole):
    result = whole.result
    assert [c["name"] for c in result["candidates"]] == ["RNN 4x2", "GRU 4x2"]
    assert [b["name"] for b in result["baselines"]] == ["ridge AR(8)", "seasonal naive", "last value"]
    assert len(result["examples"]) == 3
    names = {c["name"] for c in result["candidates"]} | {b["name"] for b in result["baselines"]}
    for example in result["examples"]:
        assert example["forecasts"].keys() == names
        assert (
            {len(f) for f in example["forecasts"].values()} == {len(example["truth"])} == {len(example["times"])} == {3}
        )
        assert len(example["history"]) == len(example["history_times"])
    for c in result["candidates"]:
        gradient = c["gradient"]
        lengths = {len(part[q]) for part in (gradient, gradient["at_start"]) for q in QUARTILES}
        assert lengths == {len(gradient["lags"])} == {gradient["span"] + 1} == {8}
        assert [s["seed"] for s in c["seeds"]] == [curve["seed"] for curve in c["curves"]] == [0, 1]
        for seed, curve in zip(c["seeds"], c["curves"]):
            assert curve["epoch"] == list(range(1, seed["epochs"] + 1))
            assert min(curve["valid_loss"]) == curve["valid_loss"][seed["best_epoch"] - 1]


def test_the_rate_with_the_lowest_validation_loss_is_used(whole):
    for c in whole.result["candidates"]:
        assert [s["lr"] for s in c["lr_search"]] == list(OPTIONS.lrs)
        assert c["lr"] == min(c["lr_search"], key=lambda s: s["valid_loss"])["lr"]


def test_scores_of_candidates_are_means_over_seeds_inside_their_intervals(whole):
    for c in whole.result["candidates"]:
        for metric in METRICS:
            found = c["scores"][metric]
            assert found["mean"] == pytest.approx(np.mean([s["scores"][metric] for s in c["seeds"]]), rel=1e-12)
            assert found["low"] <= found["mean"] <= found["high"]


def test_scores_of_baselines_are_those_of_the_task(whole):
    task = prepare(str(whole.folder.parent / "rows.csv"), DATA, FORECAST)
    for baseline in (SeasonalNaive(7), LastValue()):
        held = next(b for b in whole.result["baselines"] if b["name"] == baseline.name)
        scores = task.errors(baseline).scores()
        assert {m: held["scores"][m]["mean"] for m in METRICS} == pytest.approx(
            {m: scores[m] for m in METRICS}, rel=1e-12
        )


def test_split_and_windows_add_up(whole):
    data, task = whole.result["data"], whole.result["task"]
    assert sum(data["split"].values()) == data["rows"] == 160
    assert data["windows"]["test"] == data["split"]["test"] - task["horizon"] + 1
    assert data["windows"]["train"] == data["split"]["train"] - task["horizon"] - task["input"] + 1
    assert (task["season"], task["season_source"]) == (7, "detected")


def test_examples_are_rows_of_the_data(whole):
    rows = [float(v) for v in (whole.folder.parent / "rows.csv").read_text().split()[1:]]
    for example in whole.result["examples"]:
        first = int(example["times"][0])
        assert example["truth"] == rows[first : first + 3]
        assert example["history"] == rows[first - len(example["history"]) : first]
        assert example["forecasts"]["last value"] == pytest.approx([rows[first - 1]] * 3, rel=1e-6)
        assert example["forecasts"]["seasonal naive"] == pytest.approx(rows[first - 7 : first - 4], rel=1e-6)


def test_a_comparison_loads_as_the_network_it_trained(whole):
    loaded = Forecaster.load(whole.folder)
    candidates = {c["name"]: c for c in whole.result["candidates"]}
    best = min(candidates.values(), key=lambda c: c["scores"]["MASE"]["mean"])
    chosen = candidates.get(whole.recommended, best)
    options = loaded.network_options
    assert (options.cell, options.hidden, options.layers, options.dropout) == (chosen["cell"], 4, 2, 0.25)
    assert loaded.network.encoder.dropout == 0.25
    scores = loaded.evaluate()["network"]
    assert {m: scores[m] for m in METRICS} == {m: chosen["seeds"][0]["scores"][m] for m in METRICS}
    assert math.isfinite(loaded.predict()["y"].sum())


def test_its_config_repeats_it(whole, monkeypatch):
    """``again`` asks for the same comparison, in a folder of its own."""
    asked = {}

    def run(source, data, forecast, options, settings, folder, **rest):
        asked["config"] = comparison_config(source, data, forecast, options, settings)
        asked["folder"], asked["overwrite"] = folder, rest["overwrite"]
        return Comparison(whole.result, folder)

    monkeypatch.setattr(api, "run_comparison", run)
    monkeypatch.setattr(api, "write_report", lambda *_: None)
    for config in (whole.folder, whole.folder / "config.yaml"):
        api.again(config, "comparison")
        assert asked["config"] == whole.result["repeat"]["config"]
        assert asked["folder"] == whole.folder.with_name("run-2")
        assert not asked["overwrite"]
    api.again(whole.folder, "comparison", seeds=5, out="elsewhere")
    assert asked["config"]["compare"] == whole.result["repeat"]["config"]["compare"] | {"seeds": 5}
    assert str(asked["folder"]) == "elsewhere"


def test_a_config_of_another_kind_is_not_repeated(whole):
    with pytest.raises(RunError, match="is of a comparison"):
        api.again(whole.folder, "training")
    with pytest.raises(RunError, match="no such file"):
        api.again(whole.folder / "nowhere.yaml", "comparison")


def test_a_dataframe_must_be_given_to_repeat_its_run(whole, tmp_path):
    config = RunFolder(whole.folder).read_config() | {"source": "dataframe"}
    run = RunFolder.open_for(tmp_path / "run", config)
    with pytest.raises(RunError, match="dataframe that is not at hand"):
        api.again(run.path, "comparison")


@pytest.mark.parametrize("part", ["data", "forecast", "compare", "train", "source"])
def test_a_config_without_a_part_is_refused(whole, tmp_path, part):
    config = RunFolder(whole.folder).read_config()
    del config[part]
    run = RunFolder.open_for(tmp_path / "run", config)
    with pytest.raises(RunError, match=f"has no '{part}'"):
        api.again(run.path, "comparison")


@pytest.mark.parametrize("part", ["data", "forecast", "compare"])
def test_a_config_with_a_name_of_its_own_is_refused(whole, tmp_path, part):
    config = RunFolder(whole.folder).read_config()
    config[part]["colour"] = "red"
    run = RunFolder.open_for(tmp_path / "run", config)
    with pytest.raises(RunError, match="unknown option 'colour'"):
        api.again(run.path, "comparison")


def test_the_comparison_of_results_sees_the_last_bit(whole):
    """What these tests leave out of a result is time and place alone."""
    changed = json.loads(json.dumps(whole.result))
    changed["candidates"][0]["curves"][0]["valid_loss"][0] += 1e-15
    assert timeless(changed) != timeless(whole.result)
