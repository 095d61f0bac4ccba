"""Pages are drawn once and shared: drawing is what takes time here."""

from __future__ import annotations

from typing import Any

import pytest

from unroll.report import render

from . import fake
from .reader import Page, read


@pytest.fixture(scope="session")
def result() -> dict[str, Any]:
    return fake.fake_result()


@pytest.fixture(scope="session")
def html(result: dict[str, Any]) -> str:
    return render(result)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return read(html)
