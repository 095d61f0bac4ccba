"""A training run's whole state in one safetensors file: nothing in it can execute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unroll.errors import RunError
from unroll.files import write_bytes
from unroll.train.average import Average

SCHEMA = 2


class Checkpoint(NamedTuple):
    """``position`` is where training stands (JSON-safe); the rest is what it needs to go on from there."""

    position: dict[str, Any]
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Tensor]
    rng: Tensor


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Mapping[str, Any],
    average: Average | None = None,
) -> None:
    """Write everything needed to continue to the bit; the file is replaced in one move."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    state = optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    tensors["rng.torch"] = torch.get_rng_state()
    header = {
        "schema": str(SCHEMA),
        "position": json.dumps(dict(position)),
        "groups": json.dumps(state["param_groups"]),
        "plain": json.dumps(plain),
    }
    write_bytes(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, header))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote.

    Raises:
        RunError: the file is truncated, not a checkpoint, or of another schema.
    """
    header, tensors = _open(path)
    if header.get("schema") != str(SCHEMA):
        raise RunError(
            f"{path} has checkpoint schema {header.get('schema')}",
            expected=f"schema {SCHEMA}",
            fix="Continue it with the version of unroll that wrote it, or start anew with --overwrite",
        )
    try:
        return Checkpoint(
            position=json.loads(header["position"]),
            network=_under("network.", tensors),
            optimizer=_optimizer(header, tensors),
            average=_under("average.", tensors),
            rng=tensors["rng.torch"],
        )
    except (KeyError, ValueError) as error:
        raise _unreadable(path, error) from error


def save_weights(path: Path, network: nn.Module) -> None:
    """Write a network's weights."""
    write_bytes(path, save({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}))


def load_weights(path: Path, network: nn.Module) -> None:
    """Read weights into ``network``.

    Raises:
        RunError: the file is missing, truncated, or does not fit the network.
    """
    _, tensors = _open(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(f"{path} does not fit the network: {str(error).splitlines()[-1].strip()}") from error


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _optimizer(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    for number, entries in json.loads(header["plain"]).items():
        state.setdefault(int(number), {}).update(entries)
    return {"state": state, "param_groups": json.loads(header["groups"])}


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RunError:
    return RunError(
        f"cannot read {path}: {error}",
        expected="a complete safetensors file, as unroll writes it",
        fix="The run was cut short or the file damaged: start anew with --overwrite",
    )
