"""``Tagger``: one network, from sentences to tags, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unroll.data.examples.sentences import Sentences
from unroll.data.wording import counted, listed
from unroll.errors import DataError, reading_record
from unroll.models.tag import WordTagger
from unroll.tasks.beside import RaggedEstimator
from unroll.tasks.kept import FIELDS_FILE, Kept
from unroll.tasks.options import check_known, names
from unroll.tasks.tag.baselines import MostFrequentTag
from unroll.tasks.tag.beside import Beside
from unroll.tasks.tag.errors import FEATURES, tag_errors
from unroll.tasks.tag.inputs import inputs_from
from unroll.tasks.tag.options import TagData
from unroll.tasks.tag.reading import all_tagged, in_order, read_source
from unroll.tasks.tag.task import KIND, TagTask, build_tagger, network_tags, prepare


class Tagger(RaggedEstimator):
    """Trains one recurrent network to tag the words of sentences, and tags with it.

    Args:
        cell, hidden, layers, dropout: the network; ``cell`` is a registered name or ``package.module:Class``.
        lr, epochs, patience, batch_size, seed: training.
        options: those of ``unroll train --task tag --help``: ``decoder``, ``letters``, ``embedding``, ….

    Example::

        >>> tagger = unroll.Tagger("lstm", 128).fit("train.conllu", field="xpos", test="test.conllu")
        >>> tagger.predict([["나는", "학교에", "간다"]])      # a frame: sentence, word, tag
        >>> tagger.save("runs/ko"); unroll.Tagger.load("runs/ko")

    Raises:
        ConfigError: an option is wrong or unknown.
    """

    kind = KIND
    network: WordTagger | None
    task: TagTask | None

    def fit(self, data: Any, *, out: str | Path | None = None, overwrite: bool = False, **reading: Any) -> Tagger:
        """Train on ``data``, the path of a file; ``reading`` are ``field``, ``beside``, ``word_column``,
        ``tag_column``, ``valid`` and ``test``.

        Raises:
            DataError, ConfigError, RunError: what to change is in the message.
        """
        check_known(reading, list(TagData.__dataclass_fields__))
        self.data_options = TagData(**{**reading, "beside": names(reading.get("beside"))})
        return self.fit_prepared(prepare(data, self.data_options, self.task_options), data, out, overwrite=overwrite)

    def predict(self, data: Any = None, **reading: Any) -> Any:
        """The tag of every word of ``data``: a file, or sentences as lists of words; or of the run's own test part.

        Returns:
            a polars frame: ``sentence`` (from 1), ``word``, ``tag``.

        Raises:
            DataError: ``data`` cannot be read.
            RunError: nothing is trained or loaded yet.
        """
        import polars as pl

        network = self._trained()
        input, tags = inputs_from(self.record)
        sentences, indices = self._asked(data, reading, tagged=False)
        said = network_tags(network, input.encode(sentences.words), tags, indices, self.task_options.batch_tokens)
        return pl.DataFrame(
            {
                "sentence": [n for n, own in enumerate(said, 1) for _ in own],
                "word": [word for k in indices for word in sentences.words[k]],
                "tag": [tag for own in said for tag in own],
            },
            schema={"sentence": pl.Int64, "word": pl.String, "tag": pl.String},
        )

    def evaluate(self, data: Any = None, **reading: Any) -> dict[str, Any]:
        """Scores beside the baseline of the run: of its own test part, or of all of ``data``, every word of which has
        a tag.

        The baseline is that which the run folder keeps, or is fitted again where the data of the training is at hand.

        Returns:
            ``{"sentences": n, "network": {...}, "baselines": {"most frequent tag": {...}}, "notes": [...]}``.

        Raises:
            DataError: ``data`` cannot be read, or a word has no tag.
        """
        network = self._trained()
        input, tags = inputs_from(self.record)
        sentences, indices = self._asked(data, reading, tagged=True)
        words = [sentences.words[k] for k in indices]
        truth = [[str(tag) for tag in sentences.tags[k]] for k in indices]
        new = [input.new(own) for own in words]
        said = network_tags(network, input.encode(sentences.words), tags, indices, self.task_options.batch_tokens)
        baselines, notes = self.baselines()

        def scores(found: list[list[str]]) -> dict[str, float | None]:
            return tag_errors(truth, found, new, self.record["marks"]).scores()

        missed = [tag for own in truth for tag in own if tags.encode(tag) is None]
        if missed:
            names = listed(sorted(set(missed)), 5)
            notes = [f"{counted(len(missed), 'word')} with a tag that training has not: {names}", *notes]
        beside = {baseline.name: scores(baseline.tags(words)) for baseline in baselines}
        return {"sentences": len(indices), "network": scores(said), "baselines": beside, "notes": notes}

    def _restored(self, name: str, kept: Kept) -> MostFrequentTag:
        with reading_record(FIELDS_FILE):
            return MostFrequentTag.from_kept(kept, inputs_from(self.record)[0])

    def _rebuilt(self) -> WordTagger:
        input, tags = inputs_from(self.record)
        with reading_record():
            beside = [Beside.from_dict(own) for own in self.record["beside"]]
        return build_tagger(self.network_options, self.task_options, input, tags, self.record["decoder"], beside)

    def _asked(self, data: Any, reading: dict[str, Any], *, tagged: bool) -> tuple[Sentences, np.ndarray]:
        check_known(reading, KIND.reading)
        options = replace(self.data_options, **reading)
        if data is None:
            return self._own_test(options)
        if isinstance(data, (list, tuple)):
            return _given(data), np.arange(len(data))
        sentences = read_source(data, options, "test")
        if tagged:
            sentences = all_tagged(sentences)
            sentences = in_order(sentences) if self.record["marks"] == FEATURES else sentences
        return sentences, np.arange(len(sentences))

    def _own_test(self, options: TagData) -> tuple[Sentences, np.ndarray]:
        task = self._training_task(options)
        return task.sentences, task.part("test")  # type: ignore[attr-defined]


def _given(data: Sequence[Any]) -> Sentences:
    """Sentences as lists of words."""
    if any(isinstance(own, str) for own in data):
        raise DataError("a text where a sentence should be", expected='a list of words, as ["나는", "간다"]')
    words = tuple(tuple(str(word) for word in own) for own in data)
    return Sentences("lists", "", words, tuple((None,) * len(own) for own in words), tuple(range(1, len(words) + 1)))
