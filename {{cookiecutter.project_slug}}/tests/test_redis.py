"""While the cache server is away the project says so, and goes on."""

import logging

import pytest
from pytest_django.fixtures import Settings

from apps.health.cache_check import cache
from apps.observability.outages import OncePerMinute


def test_a_cache_that_keeps_what_is_written_is_ready() -> None:
    cache()


def test_a_cache_that_forgets_is_not_ready(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with pytest.raises(ConnectionError):
        cache()


def test_an_outage_is_told_once_a_minute() -> None:
    told = OncePerMinute()
    records = [logging.makeLogRecord({"created": 1000.0 + seconds}) for seconds in (0, 1, 59, 60, 61)]
    assert [told.filter(record) for record in records] == [True, False, False, True, False]
