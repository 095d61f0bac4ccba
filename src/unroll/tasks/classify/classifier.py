"""``Classifier``: one network, from examples to classes, in Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unroll.data import Examples, Ragged, labelled
from unroll.errors import DataError, RunError, reading_record
from unroll.models import SequenceClassifier
from unroll.tasks.beside import RaggedEstimator
from unroll.tasks.classify.baselines import KINDS, ClassBaseline, Majority
from unroll.tasks.classify.errors import class_errors
from unroll.tasks.classify.inputs import NumberInput, TextInput, input_from
from unroll.tasks.classify.options import ClassifyData
from unroll.tasks.classify.reading import read_examples
from unroll.tasks.classify.task import KIND, ClassifyTask, build_classifier, network_probabilities, prepare
from unroll.tasks.kept import FIELDS_FILE, Kept
from unroll.tasks.options import check_known, names


class Classifier(RaggedEstimator):
    """Trains one recurrent network to classify documents or sequences of numbers, and classifies with it.

    Args:
        cell, hidden, layers, dropout: the network; ``cell`` is a registered name or ``package.module:Class``.
        lr, epochs, patience, batch_size, seed: training.
        options: those of ``unroll train --task classify --help``: ``unit``, ``pooling``, ``bidirectional``,
            ``class_weight``, ``split``, ….

    Example::

        >>> classifier = unroll.Classifier(cell="gru").fit(frame, text="document", label="label")
        >>> classifier.predict(newer)          # a frame: class and probability of each document
        >>> classifier.fit((X, y))             # arrays (n, T) or (n, T, channels), and their labels
        >>> classifier.save("runs/reviews"); unroll.Classifier.load("runs/reviews")

    Raises:
        ConfigError: an option is wrong or unknown.
    """

    kind = KIND
    network: SequenceClassifier | None
    task: ClassifyTask | None

    def fit(
        self,
        data: Any,
        *,
        text: str | None = None,
        label: str | None = None,
        out: str | Path | None = None,
        overwrite: bool = False,
        **reading: Any,
    ) -> Classifier:
        """Train on ``data``: a path, the name of a data set, any dataframe, or arrays ``(X, y)``.

        ``reading`` are further options of how it is read (``sequence``, ``value``, ``valid``, ``test``, ``delimiter``,
        ``no_quotes``, …). With ``out``, everything is written there as it goes; a run that was killed continues when
        called again.

        Raises:
            DataError, ConfigError, RunError: what to change is in the message.
        """
        check_known(reading, list(ClassifyData.__dataclass_fields__))
        several = {k: names(v) for k, v in reading.items() if k in ("value", "na")}
        self.data_options = ClassifyData(**{"text": text, "label": label, **reading, **several})
        task = prepare(data, self.data_options, self.task_options)
        return self.fit_prepared(task, data, out, overwrite=overwrite)

    def predict(self, data: Any = None, **reading: Any) -> Any:
        """The class of each example of ``data``, or of the training data's test part if none is given.

        ``reading`` changes how ``data`` is read from how the training data was.

        Returns:
            a polars frame: the sequence's name where it has one, ``class``, ``probability``, one column of
            probabilities per class (``p(name)``), and for documents ``tokens``, ``read`` and ``known``: how many
            there are, how many of them were read (``longest``), and the share of these that training had (null for an
            empty document, which has none).

        Raises:
            DataError: ``data`` cannot be read.
            RunError: nothing is trained or loaded yet.
        """
        import polars as pl

        network = self._trained()
        input, classes = self._read_as()
        examples, indices = self._asked(data, reading, labels=False)
        ragged = input.encode(examples)
        found = network_probabilities(network, ragged, indices, self.task_options.batch_tokens)
        columns: dict[str, Any] = {}
        if examples.ids is not None:
            columns["sequence"] = [examples.ids[k] for k in indices]
        columns["class"] = [classes[k] for k in found.argmax(axis=1)]
        columns["probability"] = found.max(axis=1)
        columns |= {f"p({name})": found[:, k] for k, name in enumerate(classes)}
        if isinstance(input, TextInput):
            share = input.known_share(ragged)
            columns["tokens"] = [input.count(examples.texts[k]) for k in indices]
            columns["read"] = ragged.lengths[indices]
            columns["known"] = pl.Series([share[k] for k in indices], dtype=pl.Float64)
        return pl.DataFrame(columns)

    def evaluate(self, data: Any = None, **reading: Any) -> dict[str, Any]:
        """Scores beside the baselines of the run: of its own test part, or of all of ``data``, which has labels.

        ``reading`` as in ``predict``. The baselines are those that the run folder keeps, or are fitted again where the
        data of the training is at hand; ``notes`` say which are missing, and why.

        Returns:
            ``{"examples": n, "network": {...}, "baselines": {"majority": {...}, …}, "notes": [...]}``, each with
            accuracy, macro F1, NLL, Brier and ECE.

        Raises:
            DataError: ``data`` cannot be read, or an example has no label.
        """
        network = self._trained()
        input, classes = self._read_as()
        examples, indices = self._asked(data, reading, labels=True)
        labels = [str(examples.labels[k]) for k in indices]
        others = sorted(set(labels) - set(classes))
        number = {name: k for k, name in enumerate([*classes, *others])}
        truth = np.array([number[name] for name in labels], dtype=np.int64)
        read = _Read(examples, input.encode(examples))
        found = network_probabilities(network, read.ragged, indices, self.task_options.batch_tokens)
        missed = int((truth >= len(classes)).sum())
        notes = [f"{missed:,} examples of classes that training has not: {', '.join(others[:5])}"] if missed else []
        beside, more = self._scored(read, indices, truth)
        return {
            "examples": len(truth),
            "network": class_errors(truth, found).scores(),
            "baselines": beside,
            "notes": notes + more,
        }

    def _scored(self, read: _Read, indices: np.ndarray, truth: np.ndarray) -> tuple[dict[str, Any], list[str]]:
        """The scores of the baselines by name, and why any is missing."""
        baselines, notes = self.baselines()
        why = {b.name: b.refuses(read.ragged.lengths[indices]) for b in baselines}
        scores = {
            b.name: class_errors(truth, b.probabilities(read, indices), hard=b.hard).scores()
            for b in baselines
            if not why[b.name]
        }
        return scores, notes + [f"no baseline {reason}" for reason in why.values() if reason]

    def _restored(self, name: str, kept: Kept) -> ClassBaseline:
        with reading_record(FIELDS_FILE):
            return KINDS[name].from_kept(kept)

    def _known(self) -> list[ClassBaseline]:
        counts = np.array(self.record["counts"]["train"][: len(self.record["classes"])], np.float64)
        return [Majority.from_kept(Kept({}, {"shares": counts / counts.sum()}))]

    def _rebuilt(self) -> SequenceClassifier:
        input, classes = self._read_as()
        return build_classifier(self.network_options, self.task_options, input, len(classes))

    def _read_as(self) -> tuple[TextInput | NumberInput, tuple[str, ...]]:
        try:
            return input_from(self.record["input"]), tuple(self.record["classes"])
        except (KeyError, TypeError) as error:
            raise RunError(f"data.json has no {error}", fix="Train again, or restore the file") from error

    def _asked(self, data: Any, reading: dict[str, Any], *, labels: bool) -> tuple[Examples, np.ndarray]:
        """The examples to say something of, and which of them."""
        check_known(reading, KIND.reading)
        options = replace(self.data_options, **{k: names(v) if k == "na" else v for k, v in reading.items()})
        if data is None:
            return self._own_test(options)
        examples = read_examples(data, options, labels=labels, part="test")
        if labels:
            examples = labelled(examples, drop=options.drop_bad_rows)
        if not len(examples):
            raise DataError(f"{examples.name} has no examples", expected="one or more")
        return examples, np.arange(len(examples))

    def _own_test(self, options: ClassifyData) -> tuple[Examples, np.ndarray]:
        task = self._training_task(options)
        return task.parts.examples, task.part("test")  # type: ignore[attr-defined]


class _Read(NamedTuple):
    """New data as baselines and networks read it."""

    examples: Examples
    ragged: Ragged
