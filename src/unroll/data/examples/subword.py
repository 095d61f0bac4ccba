"""Sub-words: byte-pair encoding learned from the training texts, by the tokenizers library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from unroll.errors import RunError

UNKNOWN = "<unk>"


class SubwordModel:
    """A byte-pair encoding (Sennrich et al. 2016, P16-1162) as the library's own JSON, which holds no code.

    Number 0 is unknown: characters that training did not have.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def fit(cls, texts: Sequence[str], size: int, min_count: int) -> SubwordModel:
        """Merge the most frequent pairs of pieces until there are ``size``; a merge needs ``min_count`` of its pair."""
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=size, min_frequency=min_count, special_tokens=[UNKNOWN], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        return int(self._model.get_vocab_size())

    def encode(self, text: str) -> np.ndarray:
        """(pieces,) int64."""
        return np.array(self._model.encode(text).ids, dtype=np.int64)

    @cached_property
    def _model(self) -> Any:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_str(self.text)
        except Exception as error:
            raise RunError(f"data.json has no whole sub-word model: {error}", fix="Train again") from error

    def __getstate__(self) -> dict[str, str]:
        return {"text": self.text}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.text = state["text"]
