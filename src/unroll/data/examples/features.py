"""Morphological features of a word: attributes and their values, as CoNLL-U writes them."""

from __future__ import annotations

from collections.abc import Sequence

from unroll.errors import DataError

NONE = "_"


def parse_features(tag: str) -> dict[str, str]:
    """``"Case=Nom|Number=Sing"`` as a dict, nothing for ``"_"``. Raises ValueError for what is no such text."""
    if tag in (NONE, ""):
        return {}
    pairs = [part.split("=") for part in tag.split("|")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError(tag)
    return {pair[0]: pair[1] for pair in pairs}


def written_features(features: dict[str, str]) -> str:
    """As Universal Dependencies orders them: by attribute, case aside, values of one attribute between commas."""
    names = sorted(features, key=lambda name: (name.lower(), name))
    return "|".join(f"{name}={','.join(sorted(features[name].split(',')))}" for name in names) or NONE


def ordered_features(tag: str, where: str) -> str:
    """``tag`` in its one order. Raises DataError, naming ``where``, for what is no list of features."""
    try:
        return written_features(parse_features(tag))
    except ValueError:
        raise DataError(
            f"'{tag}' are no features {where}",
            expected="attributes and their values, each attribute once, as Case=Nom|Number=Sing, or _",
        ) from None


def are_features(tags: Sequence[str]) -> bool:
    """Whether every tag is a list of features, and at least one is not empty."""
    try:
        return sum(len(parse_features(tag)) for tag in set(tags)) > 0
    except ValueError:
        return False
