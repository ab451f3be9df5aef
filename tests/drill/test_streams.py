"""Streams: ten exports and four downloads that nobody reads to the end.

The first piece arrives at once, memory does not grow, and a view's connection to the
database is free before the first piece is sent.
"""

from contextlib import ExitStack, closing

import pytest

from tests.drill import both_interfaces, only_asgi
from tests.drill.instances import PUBLIC, client

MIB = 100
DOWNLOADS = 4
STREAMS = 10
POOL = 3
# A piece for each download, with some copies, and what the allocator keeps.
ALLOWED_MIB = 30


@both_interfaces
def test_what_is_streamed_does_not_fill_the_memory(project, env, start, report):
    report(drill_memory(start(project, env, workers=1)))


@only_asgi
def test_open_streams_leave_the_database_to_others(project, env, start, report):
    env = env | {"DATABASE_POOL_MAX_SIZE": str(POOL)}
    report(drill_streams(start(project, env, workers=1)))


@only_asgi
def test_streams_as_django_sends_them_are_noticed(project, env, start, break_promise):
    name = '    "core.streams.stream_middleware",\n'
    broken = break_promise("config/settings/base.py", name, "")
    env = env | {"DATABASE_POOL_MAX_SIZE": str(POOL)}
    instance = start(broken, env, workers=1)
    with pytest.raises(AssertionError, match="MiB more"):
        drill_memory(instance)
    with pytest.raises((AssertionError, TimeoutError)):
        drill_streams(instance)


def drill_memory(instance) -> str:
    with ExitStack() as stack:
        read(instance, "/drill/download/1/", 1, stack)
        before = instance.memory_mib()
        for _ in range(DOWNLOADS):
            read(instance, f"/drill/download/{MIB}/", 2**20, stack)
        more = instance.memory_mib() - before
    assert more < ALLOWED_MIB, f"{more:.0f} MiB more"
    return f"{DOWNLOADS} downloads of {MIB} MiB at a time: +{max(more, 0):.0f} MiB"


def drill_streams(instance) -> str:
    for path in ("/drill/export/8/", "/drill/export-in-parts/"):
        with ExitStack() as stack:
            for _ in range(STREAMS):
                assert read(instance, path, 1, stack)
            for _ in range(20):
                assert instance.get("/drill/row/").status == 200
                assert instance.is_ready()
    return (
        f"{STREAMS} open streams, {POOL} connections: none of 20 other requests waits"
    )


def read(instance, path: str, size: int, stack: ExitStack) -> bytes:
    """Return the first bytes of an answer; the rest waits until the stack ends."""
    connection = stack.enter_context(closing(client(instance.port, timeout=5)))
    connection.request("GET", path, headers=PUBLIC)
    response = stack.enter_context(closing(connection.getresponse()))
    assert response.status == 200
    return response.read(size)
