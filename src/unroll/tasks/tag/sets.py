"""What a tagger writes: tags as numbers, learned from the training sentences alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unroll.data.examples.features import parse_features, written_features


class Tags(ABC):
    """From tags to ``longest`` numbers of each, and back."""

    longest: int

    @property
    @abstractmethod
    def by_what(self) -> str:
        """What has a number of its own, where that is not the tag."""

    @abstractmethod
    def encode(self, tag: str) -> list[int] | None:
        """(longest,) numbers; None of a tag that cannot be written."""

    @abstractmethod
    def decode(self, numbers: Sequence[int]) -> str:
        """The tag that ``encode`` gave ``numbers`` of."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many numbers there are."""

    @abstractmethod
    def told(self) -> str: ...

    @abstractmethod
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class TagSet(Tags):
    """Tags as numbers, one to a word, or several where ``joint`` joins them: then 0 is the end and tags begin at 1."""

    tags: tuple[str, ...]
    joint: str | None
    longest: int

    @classmethod
    def fit(cls, sentences: Sequence[Sequence[str]], joint: str | None) -> TagSet:
        parts = [split_tag(tag, joint) for tags in sentences for tag in tags]
        return cls(tuple(sorted({p for own in parts for p in own})), joint, max(map(len, parts)))

    @property
    def by_what(self) -> str:
        return "" if self.joint is None else "morpheme by morpheme"

    @property
    def count(self) -> int:
        return len(self.tags) + (self.joint is not None)

    def encode(self, tag: str) -> list[int] | None:
        parts = split_tag(tag, self.joint)
        if len(parts) > self.longest or any(p not in self._number for p in parts):
            return None
        numbers = [self._number[p] for p in parts]
        return numbers + [0] * (self.longest - len(numbers))

    def decode(self, numbers: Sequence[int]) -> str:
        if self.joint is None:
            return self.tags[numbers[0]]
        return self.joint.join(self.tags[n - 1] for n in numbers if n > 0)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {tag: k + (self.joint is not None) for k, tag in enumerate(self.tags)}

    def told(self) -> str:
        if self.joint is None:
            return f"{len(self.tags)} tags, one to a word"
        return f"{len(self.tags)} tags, one to a morpheme and up to {self.longest} to a word, joined by {self.joint}"

    def to_dict(self) -> dict[str, Any]:
        return {"tags": list(self.tags), "joint": self.joint, "longest": self.longest}


def split_tag(tag: str, joint: str | None) -> list[str]:
    """The tags of the morphemes of a word; a tag that is the joint itself is one."""
    parts = tag.split(joint) if joint is not None else [tag]
    return parts if all(parts) else [tag]


@dataclass(frozen=True)
class FeatureSet(Tags):
    """Features as one number per attribute: 0 where a word has it not, k for the k-th of its values."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, sentences: Sequence[Sequence[str]]) -> FeatureSet:
        pairs = {pair for tags in sentences for tag in tags for pair in parse_features(tag).items()}
        names = sorted({name for name, _ in pairs}, key=lambda name: (name.lower(), name))
        return cls({name: tuple(sorted(value for own, value in pairs if own == name)) for name in names})

    @property
    def by_what(self) -> str:
        return "attribute by attribute"

    @property
    def longest(self) -> int:  # type: ignore[override]
        return len(self.values)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each attribute has."""
        return [len(own) + 1 for own in self.values.values()]

    @property
    def count(self) -> int:
        return sum(self.sizes)

    def encode(self, tag: str) -> list[int] | None:
        held = parse_features(tag)
        if any(value not in self.values.get(name, ()) for name, value in held.items()):
            return None
        return [own.index(held[name]) + 1 if name in held else 0 for name, own in self.values.items()]

    def decode(self, numbers: Sequence[int]) -> str:
        return written_features({name: own[n - 1] for n, (name, own) in zip(numbers, self.values.items()) if n})

    def told(self) -> str:
        many = f"{len(self.values)} attributes with {self.count - len(self.values)} values between them"
        return f"{many}, each attribute of a word by itself"

    def to_dict(self) -> dict[str, Any]:
        return {"values": [[name, *own] for name, own in self.values.items()]}


def tags_from(record: Mapping[str, Any]) -> Tags:
    """What ``to_dict`` wrote."""
    if "values" in record:
        return FeatureSet({name: tuple(own) for name, *own in record["values"]})
    return TagSet(tuple(record["tags"]), record["joint"], record["longest"])
