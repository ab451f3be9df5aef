"""Uploads: huge or endless bodies and heads, slow clients, image bombs; both proxies.

The configuration of the proxy refuses each with a 4xx or closes the connection.
Meanwhile other clients are served, and the instance's memory stays the same. Legitimate
bodies arrive complete.
"""

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cache, partial
from typing import Self

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.drill.instances import PUBLIC, client
from tests.services import Caddy, Nginx, Proxy

GROWTH_MIB = 150  # a body of 25 MiB is spooled to disk, a head has at most 64 KiB
LARGEST = 25 * 1024 * 1024  # bytes of a body
SLOW_S = 30  # until a slow client gets an answer
PATIENCE_S = 2  # of other clients
# Of each kind. Those with a body are more than the threads of two workers.
ATTACKERS = 5
SENDERS = 100  # bodies that nginx accepts from one address at a time
CLOSED = 0  # without an answer


@both_interfaces
def test_uploads_are_bounded(project, env, start, report, tmp_path):
    instance = start(project, env)
    with (
        Caddy(tmp_path / "caddy", project.path, instance.port) as caddy,
        Nginx(tmp_path / "nginx", project.path, instance.port) as nginx,
    ):
        report(drill(instance, caddy, nginx))


@only_wsgi
def test_bodies_that_are_not_buffered_are_noticed(
    project, env, start, break_promise, tmp_path
):
    break_promise("deploy/caddy/Caddyfile", "request_buffers 1MiB", "")
    old, new = "proxy_request_buffering on", "proxy_request_buffering off"
    broken = break_promise("deploy/nginx/nginx.conf", old, new)
    instance = start(project, env)
    for proxy in (Caddy, Nginx):
        with (
            proxy(tmp_path / proxy.__name__, broken.path, instance.port) as running,
            pytest.raises(AssertionError, match=r"others wait|has reached the app"),
        ):
            drill_slow(instance, running)


@only_asgi
def test_heads_and_bodies_without_a_limit_are_noticed(
    project, env, start, break_promise, tmp_path
):
    caddy, nginx = "deploy/caddy/Caddyfile", "deploy/nginx/nginx.conf"
    break_promise(caddy, "max_header_size 32KiB", "max_header_size 1GiB")
    break_promise(nginx, "client_body_timeout 20s", "client_body_timeout 1s")
    broken = break_promise(nginx, "client_max_body_size 25m", "client_max_body_size 0")
    instance = start(project, env)
    for proxy, attack in ((Caddy, "headers?"), (Nginx, "endless chunks")):
        problem = f"{attack} through {proxy.__name__}: status"
        with (
            proxy(tmp_path / proxy.__name__, broken.path, instance.port) as running,
            pytest.raises(AssertionError, match=problem),
        ):
            drill_fast(instance, running)


@only_asgi
def test_slow_clients_that_are_told_too_late_are_noticed(
    project, env, start, tmp_path, monkeypatch
):
    monkeypatch.setattr("tests.drill.test_uploads.SLOW_S", 2)
    instance = start(project, env)
    for proxy in (Caddy, Nginx):
        problem = f"stalled body through {proxy.__name__}: status None"
        with (
            proxy(tmp_path / proxy.__name__, project.path, instance.port) as running,
            pytest.raises(AssertionError, match=problem),
        ):
            drill_slow(instance, running)


@both_interfaces
def test_an_application_that_takes_any_body_is_noticed(
    project, env, start, break_promise
):
    broken = break_promise(
        "config/settings/base.py", '    "core.bodies.body_middleware",\n', ""
    )
    with pytest.raises(AssertionError, match="a few chunks: status"):
        drill_directly(start(broken, env))


def drill(instance, *proxies: Proxy) -> str:
    assert instance.get("/drill/row/").status == 200
    before = instance.memory_mib()
    statuses = drill_directly(instance)
    for proxy in proxies:
        drill_whole(proxy)
        statuses += drill_fast(instance, proxy)
    slow, others = drill_slow(instance, *proxies)
    grown = instance.memory_mib() - before
    assert grown < GROWTH_MIB, f"{grown:.0f} MiB more than before"
    found = " ".join(map(str, sorted(set(statuses))))
    told = f"slow clients told within {slow:.0f} s, others served within {others:.1f} s"
    return f"{len(statuses)} attacks get {found}; {told}; {grown:+.0f} MiB"


def drill_directly(instance) -> list[int]:
    """Check the application itself: it refuses a body that is too long or unlimited."""
    address = ("127.0.0.1", instance.port)
    connect = partial(socket.create_connection, address, timeout=5)
    chunks = [post(b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n"]
    seen = []
    for name, pieces, refusal in (
        ("a few chunks", chunks, 411),
        ("endless chunks", endless_chunks(), 411),
        ("5 GiB declared", declared(b"/drill/received/"), 413),
    ):
        status = send(connect, pieces)
        assert status == refusal, f"{name}: status {status}"
        seen.append(status)
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}
    connection = client(instance.port)
    headers = PUBLIC | upgrade | {"HTTP2-Settings": "AAMAAABkAAQAAP__"}
    connection.request("POST", "/drill/received/", b"hello", headers)
    received = json.loads(connection.getresponse().read())["bytes"]
    assert received == 5, f"{received} of 5 bytes arrive with an upgrade to HTTP/2"
    connection.close()
    with connect() as connection:
        head = post(b"Content-Length: 10", path=b"/drill/received/")
        connection.sendall(head + b"hello")
        connection.shutdown(socket.SHUT_WR)
        status = listen(connection, 5)
    assert status in (CLOSED, 400), f"half a body: status {status}"
    return [*seen, status]


def drill_whole(proxy: Proxy) -> None:
    """Check that a body arrives complete or not at all."""
    for size in (2_000, 2_000_000, LARGEST):
        connection = client(proxy.port, tls=True)
        connection.request("POST", "/drill/received/", bytes(size), PUBLIC)
        received = json.loads(connection.getresponse().read())["bytes"]
        arrived = f"{received} of {size} bytes arrive through {proxy.name}"
        assert received == size, arrived
        connection.close()
    head = post(b"Content-Length: %d" % (LARGEST + 1), path=b"/drill/received/")
    status = send(proxy.connect, [head, bytes(LARGEST + 1)])
    assert status == 413, f"a byte too many through {proxy.name}: status {status}"


def drill_fast(instance, proxy: Proxy) -> list[int]:
    """Send all fast attacks; return the statuses."""
    seen = []
    for attack, pieces, statuses in attacks():
        name = f"{attack} through {proxy.name}"
        before = instance.memory_mib()
        with Others(proxy, name):
            status = send(proxy.connect, pieces)
        assert status in statuses, f"{name}: status {status}"
        grown = instance.memory_mib() - before
        assert grown < GROWTH_MIB, f"{name}: {grown:.0f} MiB more than before"
        seen.append(status)
    if isinstance(proxy, Nginx):
        # nginx does not limit the time of a body, but the number of open bodies.
        head, _ = SLOW["dripping body"]
        with ExitStack() as stack:
            for _ in range(SENDERS):
                stack.enter_context(proxy.connect()).sendall(head)
            status = send(proxy.connect, [head])
            assert status == 429, f"body {SENDERS + 1} of one address: status {status}"
            seen.append(status)
    return seen


def drill_slow(instance, *proxies: Proxy) -> tuple[float, float]:
    """Send all slow attacks to all proxies at once.

    Return the seconds until the last slow client has an answer, and the longest wait of
    other clients.
    """
    kinds = [
        (proxy, name) for proxy in proxies for name in SLOW for _ in range(ATTACKERS)
    ]
    over = threading.Event()
    with ExitStack() as stack, ThreadPoolExecutor(len(kinds)) as pool:
        watchers = [
            stack.enter_context(Others(proxy, f"slow clients of {proxy.name}", over))
            for proxy in proxies
        ]
        attackers = [
            pool.submit(drip, proxy.connect, *SLOW[name], over) for proxy, name in kinds
        ]
        wait(
            [
                attacker
                for kind, attacker in zip(kinds, attackers, strict=True)
                if not is_held(*kind)
            ]
        )
        over.set()
        ends = [attacker.result() for attacker in attackers]
    refusals = (CLOSED, *range(400, 500))
    for (proxy, name), (status, seconds) in zip(kinds, ends, strict=True):
        found = f"{name} through {proxy.name}: status {status} after {seconds:.0f} s"
        assert status in ((None,) if is_held(proxy, name) else refusals), found
    is_reached = "/drill/body/" in instance.process.log
    assert not is_reached, "a slow body has reached the application"
    slowest = max(seconds for status, seconds in ends if status is not None)
    return slowest, max(others.longest for others in watchers)


def is_held(proxy: Proxy, name: str) -> bool:
    """Tell whether the proxy keeps such a client waiting and never answers it."""
    return isinstance(proxy, Nginx) and name == "dripping body"


class Others:
    """A normal client, which sends requests all the time and records its longest wait.

    If a wait is too long, it sets the event that ends the attack.
    """

    def __init__(
        self, proxy: Proxy, name: str, noticed: threading.Event | None = None
    ) -> None:
        self.proxy = proxy
        self.name = name
        self.noticed = noticed or threading.Event()
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
        problem = f"{self.name}: others wait for an answer: {self.problem!r}"
        assert not self.problem, problem

    def ask(self) -> None:
        while not self.over.is_set() and not self.problem:
            began = time.monotonic()
            try:
                connection = client(self.proxy.port, tls=True, timeout=PATIENCE_S)
                connection.request("GET", "/drill/row/", headers=PUBLIC)
                assert connection.getresponse().status == 200
                connection.close()
            except (OSError, AssertionError) as problem:
                self.problem = problem
                self.noticed.set()
            self.longest = max(self.longest, time.monotonic() - began)
            self.over.wait(0.05)


def post(*headers: bytes, path: bytes = b"/drill/upload/") -> bytes:
    lines = [
        b"POST " + path + b" HTTP/1.1",
        b"Host: shop.test",
        b"X-Forwarded-Proto: https",
        *headers,
    ]
    return b"\r\n".join([*lines, b"", b""])


MEGABYTE = bytes(1024 * 1024)
SLOW = {
    "stalled body": (post(b"Content-Length: 1000000", path=b"/drill/body/"), b""),
    "dripping body": (post(b"Content-Length: 1000000", path=b"/drill/body/"), b"a"),
    "dripping head": (b"GET / HTTP/1.1\r\nX-Test: ", b"a"),
}


def declared(path: bytes) -> list[bytes]:
    return [post(b"Content-Length: 5368709120", path=path), *[MEGABYTE] * 64]


def endless_chunks() -> list[bytes]:
    chunk = b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE)
    return [post(b"Transfer-Encoding: chunked"), *[chunk] * 64]


def form(body: bytes, *headers: bytes) -> list[bytes]:
    content_type = b"Content-Type: multipart/form-data; boundary=b"
    length = b"Content-Length: %d" % len(body)
    return [post(content_type, *headers, length), body]


@cache
def attacks() -> list[tuple[str, Iterable[bytes], tuple[int, ...]]]:
    """Return names, the pieces to send, and the expected statuses."""
    # nginx has its own status for each, and shows 400 for most.
    too_large_head = (400, 414, 431)
    get = b"GET / HTTP/1.1\r\n"
    lines = [get, b"X-Test: a\r\n" * 5000, b"\r\n"]
    header = [get + b"X-Test: ", *[b"a" * 65536] * 160, b"\r\n\r\n"]
    headers = [get, *[b"X-Test: aaaaaaaa\r\n" * 4000] * 160]
    line = [b"GET /", *[b"a" * 65536] * 160]
    bomb = gzip.compress(multipart(bytes(200 * 1024 * 1024)), 1)
    return [
        ("endless chunks", endless_chunks(), (411, 413)),
        *(
            (f"5 GiB declared for {path}", declared(path.encode()), (413,))
            for path in (
                "/drill/upload/",
                "/health/live/",
                "/static/admin/css/base.css",
            )
        ),
        ("huge header", header, too_large_head),
        ("thousands of headers", lines, too_large_head),
        ("endless headers", headers, too_large_head),
        ("endless line", line, too_large_head),
        ("PNG of 4 gigapixels", form(multipart(png(65_000, 65_000))), (400,)),
        ("PNG of 2 GiB", form(multipart(png(30_000, 24_000))), (400,)),
        ("gzip bomb", form(bomb, b"Content-Encoding: gzip"), (400, 415)),
    ]


def png(width: int, height: int) -> bytes:
    """Return a small image that takes 3 bytes per pixel in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        length, checksum = len(data), zlib.crc32(kind + data)
        return struct.pack(">I", length) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(50 * 1024 * 1024), 1)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def multipart(content: bytes) -> bytes:
    head = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n"
    )
    return head + content + b"\r\n--b--\r\n"


def send(connect: Callable[[], socket.socket], pieces: Iterable[bytes]) -> int:
    """Send pieces until there is an answer; return its status, or 0 without one."""
    with connect() as connection:
        for piece in pieces:
            if (status := listen(connection, 0)) is not None:
                return status
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.settimeout(20)
                connection.sendall(piece)
        return listen(connection, 20) or CLOSED


def drip(
    connect: Callable[[], socket.socket],
    start: bytes,
    drop: bytes,
    over: threading.Event,
) -> tuple[int | None, float]:
    """Send slowly; return the status (or None), and the seconds until it came."""
    began = time.monotonic()
    with connect() as connection:
        connection.sendall(start)
        while time.monotonic() - began < SLOW_S and not over.is_set():
            if (status := listen(connection, 0.5)) is not None:
                return status, time.monotonic() - began
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.sendall(drop)
    return None, time.monotonic() - began


def listen(connection: socket.socket, seconds: float) -> int | None:
    """Return the status that comes in this time; 0 for a closed connection, or None."""
    connection.settimeout(seconds)
    try:
        line = connection.recv(4096)
    except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
        return None
    except OSError:
        return CLOSED
    return int(line.split()[1]) if line else CLOSED
