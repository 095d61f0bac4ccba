"""A run folder: the only thing that commands pass to each other.

``config.yaml`` repeats the run, ``data.json`` says what was read, split and fitted, ``model.safetensors`` holds
the weights, ``result.json`` the figures. Loading any of them never executes code.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from unroll.errors import RunError
from unroll.files import not_writable, write_json, write_text

SCHEMA = 1
CALIBRATION = "calibration.json"
"""What a task fits on the validation part once a network is trained."""
RESULT_PARTS = {"data", "task", "candidates", "baselines", "answer", "repeat"}
_WRITTEN = (
    "result.json",
    "report.html",
    "model.safetensors",
    CALIBRATION,
    "checkpoints",
    "trials",
    "refits",
    "metrics.jsonl",
    "baselines.json",
    "baselines.safetensors",
    "data.json",
    "config.yaml",
)


class RunFolder:
    """``runs/NAME``; files appear in it whole or not at all."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def open_for(cls, path: Path | str, config: dict[str, Any], *, overwrite: bool = False) -> RunFolder:
        """The folder to run ``config`` in: new, or an unfinished or finished one of the same config.

        Raises:
            RunError: it holds another run, or it cannot be written.
        """
        run = cls(path)
        if run.config_file.exists() and not overwrite:
            held = run.read_config()
            if held != _plain(config):
                raise RunError(
                    f"{run.path} holds another run: {_difference(held, _plain(config))}",
                    expected="a new folder, or one of the same run to continue",
                    fix="Give another --out, or --overwrite to replace it",
                )
            return run
        if not run.config_file.exists() and run._foreign():
            raise RunError(
                f"{run.path} holds files that are not a run of unroll",
                expected="a new or empty folder, or a run folder",
                fix="Give another --out",
            )
        run.start_anew(config)
        return run

    @classmethod
    def existing(cls, path: Path | str, *, kind: str | None = None) -> RunFolder:
        """A finished or unfinished run to read.

        Raises:
            RunError: no run there, or one of another kind or version.
        """
        run = cls(path)
        if not run.config_file.exists():
            raise RunError(
                f"no run in {run.path}",
                expected="a folder with config.yaml, as unroll train or compare writes it",
                fix="Give the path after 'run' or 'report' that the command printed",
            )
        config = run.read_config()
        if kind is not None and config.get("kind") != kind:
            raise RunError(f"{run.path} is a {config.get('kind')} run", expected=f"a {kind} run")
        return run

    def start_anew(self, config: dict[str, Any]) -> None:
        """Remove what a run that is here has written, nothing else, and write ``config.yaml``."""
        try:
            if self.config_file.exists():
                for path in (self.path / name for name in _WRITTEN):
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(self.path, error) from error
        text = yaml.safe_dump({"schema": SCHEMA, **_plain(config)}, sort_keys=False, allow_unicode=True)
        write_text(self.config_file, text)

    def _foreign(self) -> bool:
        """Whether there is more here than what a kill leaves of a ``config.yaml`` being written."""
        if not self.path.is_dir():
            return False
        return any(not path.name.startswith(f".{self.config_file.name}.") for path in self.path.iterdir())

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def weights_file(self) -> Path:
        return self.path / "model.safetensors"

    def read_config(self) -> dict[str, Any]:
        """The run's config without its schema number, which is checked."""
        return read_config(self.config_file)

    def has_result(self) -> bool:
        return (self.path / "result.json").exists()

    def read_json(self, name: str) -> Any:
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise self.unfinished(name) from error
        except (ValueError, OSError) as error:
            raise RunError(
                f"cannot read {path}: {error}",
                expected="a complete JSON file",
                fix="The file is damaged: make the run anew with --overwrite",
            ) from error

    def read_result(self) -> dict[str, Any]:
        """``result.json`` of a training or a comparison. Raises RunError where it is damaged."""
        result = self.read_json("result.json")
        if not isinstance(result, dict) or not result.keys() >= RESULT_PARTS:
            raise _damaged(self.path / "result.json")
        return result

    def unfinished(self, name: str) -> RunError:
        """The error of a run that has no file ``name`` yet."""
        return RunError(
            f"{self.path} has no {name}: the run is not finished",
            expected="a finished run",
            fix="Start the command that made it again; it continues where it stopped",
        )

    def write_json(self, name: str, content: Any) -> None:
        write_json(self.path / name, content)


def read_config(path: Path) -> dict[str, Any]:
    """A ``config.yaml`` without its schema number.

    Raises:
        RunError: not readable, not YAML, or of another schema.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"no such file: {path}", expected="a config.yaml of a run folder") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"cannot read {path}: {reason}",
            expected="a config.yaml as unroll writes it",
            fix="Make the run anew with --overwrite",
        ) from error
    if not isinstance(content, dict) or not {"schema", "kind"} <= content.keys():
        raise _damaged(path)
    if content["schema"] != SCHEMA:
        raise RunError(
            f"{path} has schema {content['schema']}, from another version of unroll",
            expected=f"schema {SCHEMA}",
            fix="Use the version that made it, or make the run anew with --overwrite",
        )
    return {key: value for key, value in content.items() if key != "schema"}


def _damaged(path: Path) -> RunError:
    return RunError(
        f"{path} is not of a run, or is cut short",
        expected=f"{path.name} as unroll writes it",
        fix="Make the run anew with --overwrite",
    )


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """``config`` as YAML gives it back."""
    return yaml.safe_load(yaml.safe_dump(config))


def _difference(held: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key in ["kind", *wanted, *held]:
        if held.get(key) != wanted.get(key):
            before, now = held.get(key), wanted.get(key)
            if isinstance(before, dict) and isinstance(now, dict):
                return f"{key}: {_difference(before, now)}"
            return f"its {key} is {before!r}, this run's is {now!r}"
    return "no difference"
