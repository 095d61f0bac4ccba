"""Run folders: which may be continued, which are refused, and why."""

import os
import resource

import pytest

from unroll.errors import RunError
from unroll.train import RunFolder

CONFIG = {"kind": "training", "network": {"cell": "gru", "hidden": 8}, "train": {"lr": 0.003, "seed": 0}}


def changed(**network):
    return CONFIG | {"network": CONFIG["network"] | network}


def refusal(call):
    with pytest.raises(RunError) as caught:
        call()
    return str(caught.value)


def test_the_same_config_continues(tmp_path):
    first = RunFolder.open_for(tmp_path / "run", CONFIG)
    first.write_json("data.json", {"a": 1})
    assert RunFolder.open_for(tmp_path / "run", CONFIG).read_json("data.json") == {"a": 1}
    assert first.read_config() == CONFIG


@pytest.mark.parametrize("value", [(1, 2), 0.1 + 0.2, 1e-300, "1", "yes", None, "", "x: y", "Zürich\n", [[], {}]])
def test_any_config_comes_back(tmp_path, value):
    config = CONFIG | {"value": list(value) if isinstance(value, tuple) else value}
    run = RunFolder.open_for(tmp_path, config)
    assert run.read_config() == config
    assert RunFolder.open_for(tmp_path, config).path == tmp_path


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (changed(hidden=16), "network: its hidden is 8, this run's is 16"),
        (changed(cell="lstm"), "network: its cell is 'gru', this run's is 'lstm'"),
        (CONFIG | {"kind": "comparison"}, "its kind is 'training', this run's is 'comparison'"),
        (CONFIG | {"source": "a.csv"}, "its source is None, this run's is 'a.csv'"),
        (CONFIG | {"train": None}, "its train is {'lr': 0.003, 'seed': 0}, this run's is None"),
    ],
)
def test_another_config_is_refused_by_its_difference(tmp_path, config, difference):
    RunFolder.open_for(tmp_path, CONFIG)
    text = refusal(lambda: RunFolder.open_for(tmp_path, config))
    assert difference in text
    assert "--overwrite" in text


def test_overwrite_replaces_all_of_another_run(tmp_path):
    run = RunFolder.open_for(tmp_path / "run", CONFIG)
    run.write_json("result.json", {})
    (run.path / "checkpoints").mkdir()
    RunFolder.open_for(run.path, changed(hidden=16), overwrite=True)
    assert [path.name for path in run.path.iterdir()] == ["config.yaml"]
    assert run.read_config() == changed(hidden=16)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "not a run of unroll" in refusal(lambda: RunFolder.open_for(tmp_path, CONFIG, overwrite=overwrite))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_may_be_used(tmp_path):
    assert RunFolder.open_for(tmp_path, CONFIG).read_config() == CONFIG


def test_a_config_half_written_when_killed_is_no_foreign_file(tmp_path):
    (tmp_path / ".config.yaml.x7f3").write_text("sche")
    assert RunFolder.open_for(tmp_path, CONFIG).read_config() == CONFIG


@pytest.mark.parametrize("content", ["", "sche", "schema: [1", "- 1\n- 2\n", "kind: training\n", "\x00", "a: &x [*x"])
def test_a_damaged_config_is_refused(tmp_path, content):
    run = RunFolder.open_for(tmp_path, CONFIG)
    run.config_file.write_text(content)
    for call in (run.read_config, lambda: RunFolder.existing(tmp_path), lambda: RunFolder.open_for(tmp_path, CONFIG)):
        assert str(run.config_file) in refusal(call)
    assert RunFolder.open_for(tmp_path, CONFIG, overwrite=True).read_config() == CONFIG


def test_a_config_cannot_execute(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    run.config_file.write_text(f"schema: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    assert "cannot read" in refusal(run.read_config)
    assert not (tmp_path / "made").exists()


def test_a_config_that_is_not_text_is_refused(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    run.config_file.write_bytes(b"\xff\xfe\x00schema")
    assert "cannot read" in refusal(run.read_config)


def test_another_schema_is_refused(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    run.config_file.write_text(run.config_file.read_text().replace("schema: 1", "schema: 2"))
    assert "schema 2, from another version" in refusal(lambda: RunFolder.existing(tmp_path))


@pytest.mark.parametrize("content", ["", "{", '{"a": 1', "[1, 2"])
def test_truncated_json_is_refused(tmp_path, content):
    run = RunFolder.open_for(tmp_path, CONFIG)
    (tmp_path / "result.json").write_text(content)
    assert "complete JSON file" in refusal(lambda: run.read_json("result.json"))


def test_a_missing_result_says_the_run_is_not_finished(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    assert "not finished" in refusal(lambda: run.read_json("result.json"))


def test_reading_where_no_run_is(tmp_path):
    assert "no run in" in refusal(lambda: RunFolder.existing(tmp_path / "nothing"))
    RunFolder.open_for(tmp_path, CONFIG)
    assert "is a training run" in refusal(lambda: RunFolder.existing(tmp_path, kind="comparison"))


@pytest.mark.parametrize("below", [(), ("run",), ("a", "run")])
def test_a_file_in_the_way_is_said(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    path = tmp_path.joinpath("file", *below)
    assert str(path) in refusal(lambda: RunFolder.open_for(path, CONFIG))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_without_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        assert "cannot write" in refusal(lambda: RunFolder.open_for(tmp_path / "run", CONFIG))
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    run.write_json("result.json", {"old": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        text = refusal(lambda: run.write_json("result.json", ["x" * 10_000]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot write" in text
    assert "Free some space" in text
    assert run.read_json("result.json") == {"old": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "result.json"]


def test_nan_is_never_written(tmp_path):
    run = RunFolder.open_for(tmp_path, CONFIG)
    with pytest.raises(ValueError, match="Out of range float"):
        run.write_json("result.json", {"MASE": float("nan")})
    assert not run.has_result()
