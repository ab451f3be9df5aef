"""Uploads: 5 GiB declared, slow bodies, huge and endless headers, images and encodings that would burst.

Each is refused with 4xx; meanwhile others are served, and the memory of the instance stays what it was.
"""

import contextlib
import gzip
import http.client
import json
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.drill.instances import PUBLIC
from tests.services import wait_until

GROWTH_MIB = 150  # a body of 25 MiB is spooled to disk, a head is at most 64 KiB
SLOW_S = 40  # within which a client that is slow is told so
BODY_BYTES = 1_500_000  # of a request that nobody would refuse
ATTACKERS = 12  # more than an instance of two workers has threads


@both_interfaces
def test_uploads_are_bounded(project, env, start, report):
    report(drill(start(project, env)))


@only_wsgi
def test_threads_that_wait_for_ever_are_noticed(project, env, start, break_promise):
    broken = break_promise("gunicorn.conf.py", '"config.thread_worker.Worker"', '"gthread"')
    with pytest.raises(AssertionError, match="others wait"):
        drill_slow(start(broken, env))


@only_asgi
def test_heads_without_a_limit_are_noticed(project, env, start, break_promise):
    broken = break_promise("config/uvicorn_worker.py", '"http": Protocol', '"http": "httptools"')
    with pytest.raises(AssertionError, match="huge header: status"):
        drill_fast(start(broken, env))


def drill(instance) -> str:
    assert instance.get("/drill/row/").status == 200
    assert count_received(instance) == BODY_BYTES, "a body like any other does not arrive whole"
    before = instance.memory_mib()
    statuses = drill_fast(instance)
    slow, others = drill_slow(instance)
    wait_until(lambda: instance.get("/health/live/").status == 200, 5, "the instance to answer")
    grown = instance.memory_mib() - before
    assert grown < GROWTH_MIB, f"{grown:.0f} MiB more than before"
    told = f"slow clients told within {slow:.0f} s, others served within {others:.1f} s"
    return f"{len(statuses)} attacks get {' '.join(map(str, sorted(set(statuses))))}; {told}; {grown:+.0f} MiB"


def count_received(instance) -> int:
    """How much of a body of BODY_BYTES a view reads."""
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=10)
    connection.request("POST", "/drill/body/", b"x" * BODY_BYTES, PUBLIC)
    with contextlib.closing(connection):
        return json.loads(connection.getresponse().read())["bytes"]


def drill_fast(instance) -> list[int]:
    """What arrives as fast as it can; the statuses."""
    seen = []
    for name, pieces, statuses in attacks():
        before = instance.memory_mib()
        with Others(instance, name):
            status = send(instance.port, pieces)
        assert status in statuses, f"{name}: status {status}"
        grown = instance.memory_mib() - before
        assert grown < GROWTH_MIB, f"{name}: {grown:.0f} MiB more than before"
        seen.append(status)
    return seen


def drill_slow(instance) -> tuple[float, float]:
    """More slow clients than there are threads, of three kinds: the seconds that they and that others had to wait."""
    with Others(instance, "slow clients", patience_s=8) as others, ThreadPoolExecutor(ATTACKERS) as pool:
        names = [name for name in SLOW for _ in range(ATTACKERS // len(SLOW))]
        attackers = [pool.submit(drip, instance.port, *SLOW[name]) for name in names]
        longest = 0.0
        for name, attacker in zip(names, attackers, strict=True):
            status, seconds = attacker.result()
            assert status in range(400, 500), f"{name}: status {status} after {seconds:.0f} s"
            longest = max(longest, seconds)
    return longest, others.longest


class Others:
    """A client like any other, which asks all the time and keeps the longest that it had to wait, in seconds."""

    def __init__(self, instance, name: str, patience_s: float = 2) -> None:
        self.instance = instance
        self.name = name
        self.patience_s = patience_s
        self.longest = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)
        self.problem: Exception | None = None

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()
        assert not self.problem, f"{self.name}: others wait for an answer: {self.problem!r}"
        assert self.longest < self.patience_s, f"{self.name}: others wait for {self.longest:.1f} s"

    def ask(self) -> None:
        while not self.over.is_set() and not self.problem:
            began = time.monotonic()
            try:
                assert self.instance.get("/drill/row/").status == 200
            except (OSError, AssertionError) as problem:
                self.problem = problem
            self.longest = max(self.longest, time.monotonic() - began)
            self.over.wait(0.05)


def post(*headers: bytes, path: bytes = b"/drill/upload/") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: shop.test", b"X-Forwarded-Proto: https", *headers]
    return b"\r\n".join([*lines, b"", b""])


SLOW = {
    "stalled body": (post(b"Content-Length: 1000000", path=b"/drill/body/"), b""),
    "dripping body": (post(b"Content-Length: 1000000", path=b"/drill/body/"), b"a"),
    "dripping head": (b"GET / HTTP/1.1\r\nX-Test: ", b"a"),
}


def attacks() -> Iterator[tuple[str, Iterable[bytes], tuple[int, ...]]]:
    """Names, what is sent piece by piece until the answer is there, and the statuses that are right."""
    megabyte = bytes(1024 * 1024)
    for path in (b"/drill/upload/", b"/health/live/", b"/static/admin/css/base.css"):
        name = f"5 GiB declared for {path.decode()}"
        yield name, [post(b"Content-Length: 5368709120", path=path), *[megabyte] * 64], (405, 413)
    endless = b"%x\r\n%s\r\n" % (len(megabyte), megabyte)
    # Without a length Django takes a body under WSGI for empty, and Gunicorn throws away what comes.
    yield "endless chunks", [post(b"Transfer-Encoding: chunked"), *[endless] * 64], (400, 413)
    yield "huge header", [b"GET / HTTP/1.1\r\nX-Test: ", *[b"a" * 65536] * 160, b"\r\n\r\n"], (431,)
    yield "thousands of headers", [b"GET / HTTP/1.1\r\n", b"X-Test: a\r\n" * 5000, b"\r\n"], (431,)
    yield "endless headers", [b"GET / HTTP/1.1\r\n", *[b"X-Test: aaaaaaaa\r\n" * 4000] * 160], (431,)
    yield "endless line", [b"GET /", *[b"a" * 65536] * 160], (400, 414, 431)
    for name, image in (("PNG of 4 gigapixels", png(65_000, 65_000)), ("PNG of 2 GiB", png(30_000, 24_000))):
        form = multipart(image)
        yield (
            name,
            [post(b"Content-Type: multipart/form-data; boundary=b", b"Content-Length: %d" % len(form)), form],
            (400,),
        )
    bomb = gzip.compress(multipart(bytes(200 * 1024 * 1024)), 9)
    head = post(
        b"Content-Type: multipart/form-data; boundary=b",
        b"Content-Encoding: gzip",
        b"Content-Length: %d" % len(bomb),
    )
    yield "gzip bomb", [head, bomb], (400, 413, 415)


def png(width: int, height: int) -> bytes:
    """An image of one colour, in a few hundred kilobytes at most, that takes 3 bytes for each pixel in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes(50 * 1024 * 1024), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def multipart(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def send(port: int, pieces: Iterable[bytes]) -> int:
    """The status of the answer to what is sent; 0 without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
        return read_status(connection)


def drip(port: int, start: bytes, drop: bytes) -> tuple[int, float]:
    """The status that a slow client gets, and after how many seconds; it gives up after SLOW_S."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(start)
        while time.monotonic() - began < SLOW_S:
            if select.select([connection], [], [], 0.5)[0]:
                return read_status(connection), time.monotonic() - began
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(drop)
    return 0, SLOW_S


def read_status(connection: socket.socket) -> int:
    try:
        line = connection.recv(4096)
    except (ConnectionResetError, TimeoutError):
        return 0
    return int(line.split()[1]) if line else 0
