"""What stands beside a trained network when new data is scored: the baselines of its run, kept or fitted again."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from unroll.errors import ConfigError, DataError
from unroll.tasks.estimator import Estimator
from unroll.tasks.kept import Kept, keep, kept_in
from unroll.tasks.ragged import RaggedTask


class RaggedEstimator(Estimator):
    """An estimator of a ``RaggedTask``."""

    task: Any
    _beside: tuple[list[Any], list[str]] | None = None
    _lacking = False

    @abstractmethod
    def _restored(self, name: str, kept: Kept) -> Any:
        """The baseline that ``kept`` is of."""

    def _known(self) -> list[Any]:
        """The baselines that the record of the data is enough for."""
        return []

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write config, data record and weights to a run folder, and the baselines where they are fitted or kept.

        They are fitted by ``evaluate``, so evaluate first what was trained on data that will not be at hand.
        """
        path = super().save(folder, overwrite=overwrite)
        if self._beside is not None or (self.task is None and kept_in(self.folder) is not None):
            baselines, _ = self.baselines()
            if not self._lacking:
                keep(baselines, path)
        return path

    def baselines(self) -> tuple[list[Any], list[str]]:
        """The baselines of the run, and what there is to say of those that are missing.

        They are read from the run folder, or fitted again on the data of the training where that is at hand and
        unchanged.
        """
        if self._beside is None:
            self._beside = self._found_baselines()
        return self._beside

    def _found_baselines(self) -> tuple[list[Any], list[str]]:
        kept = kept_in(self.folder) if self.task is None else None
        if kept is not None:
            return [self._restored(name, parts) for name, parts in kept], []
        try:
            task = self._training_task(self.data_options)
        except (DataError, ConfigError) as error:
            known, self._lacking = self._known(), True
            but = f" but {', '.join(b.name for b in known)}" if known else ""
            return known, [f"no baselines{but}: the run keeps none, and {error.received}"]
        found, absent = task.baselines()
        return list(found), [f"no baseline {why}" for why in absent]

    def _training_task(self, options: Any) -> RaggedTask:
        """The task of the training: at hand, or prepared again from the source that the run names.

        Raises:
            DataError: the source is not at hand, or has changed.
        """
        if self.task is not None:
            task: RaggedTask = self.task
            return task
        if self.source in ("dataframe", ""):
            raise DataError("this run was trained on data that is not at hand", fix="Give the data to use")
        prepared = self.kind.prepare(self.source, options, self.task_options)
        assert isinstance(prepared, RaggedTask)
        if prepared.fingerprint != self.record["fingerprint"]:
            raise DataError(
                f"{prepared.source} has changed since the training: its test part is no longer known",
                expected="the data of the training",
                fix="Give data to use that training has not seen",
            )
        return prepared
