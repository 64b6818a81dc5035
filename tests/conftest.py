"""Fixtures for every test."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _empty_redis() -> None:
    """Limits and counters of one test must not reach the next."""
    cache.clear()
