"""While the cache server is away pages do without it, nobody waits for it twice, and the log says so once a minute."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import BaseCache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.health.cache_check import cache as check
from apps.operations import cache as module

if TYPE_CHECKING:
    from conftest import LoadModule

PARAMETERS = {"SERVER_BACKEND": f"{__name__}.MoodyCache", "SERVER_ERRORS": []}


class MoodyCache(LocMemCache):
    """Works, or fails as its mood is."""

    mood: Exception | None = None
    tries = 0

    def make_and_validate_key(self, key: Any, version: int | None = None) -> Any:
        MoodyCache.tries += 1
        if MoodyCache.mood:
            raise MoodyCache.mood
        return super().make_and_validate_key(key, version)

    def clear(self) -> None:
        self.make_and_validate_key("")
        super().clear()


@pytest.fixture
def server() -> Iterator[type[MoodyCache]]:
    MoodyCache.mood, MoodyCache.tries = None, 0
    module.FailSafeCache._servers.clear()
    yield MoodyCache
    module.FailSafeCache._servers.clear()


@pytest.fixture
def cache(server: type[MoodyCache]) -> Iterator[BaseCache]:
    cache = module.FailSafeCache("", PARAMETERS)
    yield cache
    server.mood = None
    cache.clear()


@pytest.fixture
def production_cache(load_module: "LoadModule", production_environ: dict[str, str]) -> dict[str, Any]:
    """Production's cache; nothing listens where its server should be."""
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        port = closed_at_once.getsockname()[1]
    environ = production_environ | {"CACHE_URL": production_environ["CACHE_URL"].replace(":9", f":{port}")}
    entry: dict[str, Any] = load_module("config.settings.production", environ).CACHES["default"]
    return entry


def test_a_cache_that_keeps_what_is_written_is_ready() -> None:
    check()


def test_a_cache_that_forgets_is_not_ready(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with pytest.raises(ConnectionError):
        check()


def test_workers_may_check_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    write = LocMemCache.set

    def write_and_let_another_check(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        monkeypatch.undo()
        check()

    monkeypatch.setattr(LocMemCache, "set", write_and_let_another_check)
    check()


def test_a_server_that_answers_is_a_cache_like_any_other(cache: BaseCache) -> None:
    cache.set("one", 1)
    assert cache.add("two", 2)
    assert not cache.add("two", 3)
    assert cache.set_many({"three": 3}) == []
    assert cache.get_many(["one", "two", "none"]) == {"one": 1, "two": 2}
    assert (cache.get("none"), cache.get("none", 0), "one" in cache, "none" in cache) == (None, 0, True, False)
    assert (cache.incr("one"), cache.decr("one", 2)) == (2, 0)
    assert (cache.touch("one"), cache.touch("none"), cache.delete("one"), cache.delete("none")) == (
        (True, False, True, False)
    )
    assert cache.get_or_set("one", lambda: 1) == 1
    cache.delete_many(["one", "two"])
    assert cache.get_many(["one", "two", "three"]) == {"three": 3}
    with pytest.raises(ValueError, match="none"):
        cache.incr("none")


def test_an_outage_looks_like_an_empty_cache(cache: BaseCache, server: type[MoodyCache]) -> None:
    server.mood = ConnectionRefusedError()
    cache.set("one", 1)
    assert cache.set_many({"one": 1}) == ["one"]
    assert (cache.get("one"), cache.get("one", 0), cache.get_many(["one"]), "one" in cache) == (None, 0, {}, False)
    assert (cache.add("one", 1), cache.touch("one"), cache.delete("one")) == (False, False, False)
    assert (cache.incr("one", 2), cache.get_or_set("one", lambda: 1)) == (2, 1)
    cache.delete_many(["one"])
    cache.clear()


def test_what_a_server_refuses_leaves_no_older_value(cache: BaseCache, server: type[MoodyCache]) -> None:
    cache.set("one", "older")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "set", refuse)
        cache.set("one", "too large")
    assert cache.get("one") is None


def test_an_error_of_the_program_is_told_to_it(cache: BaseCache, server: type[MoodyCache]) -> None:
    server.mood = TypeError()
    with pytest.raises(TypeError):
        cache.get("one")


def test_the_log_says_so_once_a_minute(
    cache: BaseCache, server: type[MoodyCache], caplog: pytest.LogCaptureFixture, clock: "Clock"
) -> None:
    server.mood = ConnectionRefusedError("refused")
    for seconds in (0, 1, 59, 60, 61):
        clock.now = 1000.0 + seconds
        cache.get("one")
    told = [record.getMessage() for record in caplog.records]
    assert told == ["the cache fails, pages do without it: ConnectionRefusedError: refused"] * 2


def test_a_server_that_refuses_at_once_is_asked_each_time(cache: BaseCache, server: type[MoodyCache]) -> None:
    server.mood = ConnectionRefusedError()
    cache.get_many(["one"])
    server.mood = None
    cache.set("one", 1)
    assert cache.get("one") == 1


def test_a_server_that_lets_wait_is_left_alone_for_a_while(
    cache: BaseCache, server: type[MoodyCache], clock: "Clock"
) -> None:
    server.mood, clock.step = TimeoutError(), 0.5
    cache.get("one")
    assert server.tries == 1

    # Nobody else waits, not even on another connection or in another thread.
    other = module.FailSafeCache("", PARAMETERS)
    assert (cache.get("one"), other.get("one")) == (None, None)
    assert server.tries == 1

    clock.now += module.PAUSE_S
    cache.get("one")
    other.get("one")
    assert server.tries == 2

    server.mood, clock.step = None, 0
    clock.now += module.PAUSE_S
    cache.set("one", 1)
    assert other.get("one") == 1


@pytest.mark.django_db
def test_pages_do_without_productions_cache(
    client: Client, settings: Settings, production_cache: dict[str, Any], server: type[MoodyCache]
) -> None:
    settings.CACHES = {"default": production_cache}
    assert caches["default"].set_many({"one": 1, "two": 2}) == ["one", "two"]
    assert caches["default"].get("one") is None
    client.session.save()
    assert client.get(reverse("admin:index")).status_code == 302
    with pytest.raises(ConnectionError):
        check()


class Clock:
    """Stands still, or goes on by a step each time that it is looked at."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def refuse(*arguments: Any, **options: Any) -> None:
    raise OSError
