"""Checkpoints: exact, whole or refused, and without code."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from train.making import Summing, Sums, forecaster_run, sums_run
from unroll import Forecaster
from unroll.errors import RunError
from unroll.train import load_weights, save_weights
from unroll.train.checkpoint import SCHEMA, load_checkpoint, save_checkpoint

POSITION = {"epoch": 3, "batch": 7, "loss_sum": 0.1 + 0.2, "best_loss": None, "done": ""}


def trained(steps=5):
    torch.manual_seed(0)
    network, problem = Summing(), Sums()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        problem.loss(network, torch.arange(step, step + 8)).backward()
        optimizer.step()
    return network, optimizer


@pytest.fixture
def saved(tmp_path):
    network, optimizer = trained()
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, network, optimizer, POSITION)
    return path, network, optimizer


def test_network_optimizer_and_position_come_back_exactly(saved):
    path, network, optimizer = saved
    found = load_checkpoint(path)
    assert found.position == POSITION
    assert found.network.keys() == network.state_dict().keys()
    assert all(torch.equal(found.network[name], value) for name, value in network.state_dict().items())
    state = optimizer.state_dict()
    assert found.optimizer["state"].keys() == state["state"].keys()
    for index, entries in state["state"].items():
        assert entries.keys() == found.optimizer["state"][index].keys()
        for name, value in entries.items():
            held = found.optimizer["state"][index][name]
            assert torch.equal(held, value)
            assert held.dtype == value.dtype
    group, held = state["param_groups"][0], found.optimizer["param_groups"][0]
    assert held == group | {"betas": list(group["betas"])}


def test_the_generator_comes_back_exactly(saved):
    path, _, _ = saved
    expected = torch.rand(4)
    torch.set_rng_state(load_checkpoint(path).rng)
    assert torch.equal(torch.rand(4), expected)


def test_a_restored_optimizer_makes_the_same_next_step(saved):
    path, network, optimizer = saved
    other, fresh = trained(steps=0)
    found = load_checkpoint(path)
    other.load_state_dict(found.network)
    fresh.load_state_dict(found.optimizer)
    for net, adam in ((network, optimizer), (other, fresh)):
        adam.zero_grad()
        Sums().loss(net, torch.arange(20)).backward()
        adam.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters()))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(saved, share):
    path, _, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match="start anew with --overwrite"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [b"not a checkpoint", b"\xff" * 400, pickle.dumps({"schema": "1"}), b"PK\x03\x04" + bytes(300)],
)
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match="cannot read"):
        load_checkpoint(path)


@pytest.mark.parametrize("schema", [None, "0", str(SCHEMA + 1)])
def test_another_schema_is_refused(saved, schema):
    path, _, _ = saved
    save_file(load_file(path), path, None if schema is None else {"schema": schema})
    with pytest.raises(RunError, match=f"schema {schema}"):
        load_checkpoint(path)


def test_a_checkpoint_without_its_parts_is_refused(saved):
    path, _, _ = saved
    save_file(load_file(path), path, {"schema": str(SCHEMA)})
    with pytest.raises(RunError, match="cannot read"):
        load_checkpoint(path)


def test_a_damaged_checkpoint_stops_the_run_that_would_continue(tmp_path):
    last = tmp_path / "checkpoints" / "last.safetensors"
    last.parent.mkdir()
    last.write_bytes(b"half")
    with pytest.raises(RunError, match="cannot read"):
        sums_run(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(tmp_path / "model.safetensors", torch.nn.Linear(2, 2))
    with pytest.raises(RunError, match="does not fit the network"):
        load_weights(tmp_path / "model.safetensors", Summing())


def test_nothing_in_a_run_folder_can_execute(tmp_path, monkeypatch):
    """Neither by what is in it, nor by how it is read."""
    data = tmp_path / "rows.csv"
    data.write_text("y\n" + "\n".join(str(k * k % 17) for k in range(120)) + "\n")
    run = tmp_path / "run"
    forecaster_run(run, str(data))
    found = [path for path in run.rglob("*") if path.is_file()]
    assert {path.suffix for path in found} == {".json", ".jsonl", ".safetensors", ".yaml"}
    for path in found:
        content = path.read_bytes()
        assert content[:1] != b"\x80"
        assert content[:2] != b"PK"
        if path.suffix == ".safetensors":
            length = int.from_bytes(content[:8], "little")
            json.loads(content[8 : 8 + length])

    def refuse(*_, **__):
        raise AssertionError("a run is read with pickle")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(owner, name, refuse)
    Forecaster.load(run).predict()
