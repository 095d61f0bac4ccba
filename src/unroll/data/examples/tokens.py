"""Text as tokens: words, characters (Hangul syllables among them) or jamo."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from unroll.errors import ConfigError, did_you_mean

_FIRST, _LAST = 0xAC00, 0xD7A3
"""The precomposed Hangul syllables; syllable = first + (initial · 21 + vowel) · 28 + final (Unicode 3.12)."""
_VOWELS, _FINALS = 21, 28
_INITIAL, _VOWEL, _FINAL = 0x1100, 0x1161, 0x11A7
SPACELESS = 0.3
"""Where at least this share of the letters is Hangul, kana or an ideograph, characters are the better token."""


def words(text: str) -> list[str]:
    """Runs of letters, digits and their marks; every other visible character is a token of its own.

    >>> words("Ain't 3.5 좋다!")
    ['Ain', "'", 't', '3', '.', '5', '좋다', '!']
    """
    return _word().findall(unicodedata.normalize("NFC", text))


def characters(text: str) -> list[str]:
    """The characters in normal form C, so that a Hangul syllable is one, however it was typed."""
    return list(unicodedata.normalize("NFC", text))


def jamo(text: str) -> list[str]:
    """Characters, each Hangul syllable as its initial, vowel and final (if it has one), which are told apart.

    >>> [unicodedata.name(c)[7:] for c in jamo("한")]
    ['CHOSEONG HIEUH', 'JUNGSEONG A', 'JONGSEONG NIEUN']
    """
    parts: list[str] = []
    for character in characters(text):
        code = ord(character)
        if not _FIRST <= code <= _LAST:
            parts.append(character)
            continue
        rest, final = divmod(code - _FIRST, _FINALS)
        initial, vowel = divmod(rest, _VOWELS)
        parts += [chr(_INITIAL + initial), chr(_VOWEL + vowel)]
        if final:
            parts.append(chr(_FINAL + final))
    return parts


UNITS: dict[str, Callable[[str], list[str]]] = {
    "word": words,
    "character": characters,
    "syllable": characters,
    "jamo": jamo,
}
SUBWORD = "subword"


def check_unit(unit: str) -> None:
    """Raises ConfigError where there is no such token."""
    known = (*UNITS, SUBWORD)
    if unit not in known:
        raise ConfigError(f"unknown unit '{unit}'.{did_you_mean(unit, known)}", expected=f"one of {', '.join(known)}")


def usual_unit(texts: Sequence[str]) -> str:
    """ "character" where words are not what spaces separate (Korean, Japanese, Chinese), else "word"."""
    letters = "".join(texts[:: max(1, len(texts) // 1000)])
    of_them = [c for c in letters[:200_000] if c.isalpha()]
    joined = sum(_is_spaceless(ord(c)) for c in of_them)
    return "character" if of_them and joined >= SPACELESS * len(of_them) else "word"


def _is_spaceless(code: int) -> bool:
    return (
        0x1100 <= code <= 0x11FF or 0x3040 <= code <= 0x9FFF or 0xA960 <= code <= 0xD7FF or 0x20000 <= code <= 0x3FFFF
    )


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """Python's \\w leaves out combining marks, which belong to the letter before them."""
    marks = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    inside = "".join(f"{chr(a)}-{chr(b)}" for a, b in _runs(marks)) + "\u200c\u200d"
    return re.compile(rf"\w[\w{inside}]*|[^\s\w]")


def _runs(codes: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], code)
        else:
            runs.append((code, code))
    return runs
