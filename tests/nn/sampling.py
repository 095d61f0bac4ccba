"""A fair part of a cross product too large to run whole: the same for a seed, which the test run prints.

``UNROLL_LAW_SEED`` takes another part, ``UNROLL_LAW_SHARE=0.1`` a tenth of it, ``UNROLL_LAW_SHARE=all`` everything.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest

SEED = int(os.environ.get("UNROLL_LAW_SEED", "2026"))
WHOLE = os.environ.get("UNROLL_LAW_SHARE") == "all"
SHARE = 1.0 if WHOLE else float(os.environ.get("UNROLL_LAW_SHARE", "1"))


def sampled(names: str, kinds: Sequence[Any], *axes: Sequence[Any], each: int, ids: Any = str) -> Any:
    """``pytest.mark.parametrize`` over ``kinds`` × ``axes``, of which every kind gets ``each`` combinations."""
    rest = list(product(*axes))
    draw = random.Random(f"{SEED} {names}")
    count = len(rest) if WHOLE else min(math.ceil(each * SHARE), len(rest))
    cases = [(kind, *row) for kind in kinds for row in (rest if WHOLE else draw.sample(rest, count))]
    return pytest.mark.parametrize(names, cases, ids=lambda value: ids(value))
