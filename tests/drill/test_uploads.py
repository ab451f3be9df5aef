"""Uploads: bodies of 5 GiB, bodies and heads without an end, slow clients, images that would burst, behind both proxies.

Each is refused with 4xx or closed, by the proxy's own file; meanwhile others are served, and the memory of the instance
stays what it was. What nobody would refuse arrives whole.
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
from functools import cache
from typing import Self

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.drill.instances import PUBLIC, client
from tests.services import Caddy, Nginx, Proxy

GROWTH_MIB = 150  # a body of 25 MiB is spooled to disk, a head is at most 64 KiB
LARGEST = 25 * 1024 * 1024  # bytes of a body
SLOW_S = 30  # within which a client that is slow is told so
PATIENCE_S = 2  # of others
ATTACKERS = 5  # of each kind: those with a body are more than an instance of two workers has threads
SENDERS = 100  # bodies that nginx takes from one address at a time
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
def test_bodies_that_are_handed_on_as_they_come_are_noticed(
    project, env, start, break_promise, tmp_path
):
    break_promise("deploy/caddy/Caddyfile", "request_buffers 1MiB", "")
    broken = break_promise(
        "deploy/nginx/default.conf",
        "proxy_request_buffering on",
        "proxy_request_buffering off",
    )
    instance = start(project, env)
    for proxy in (Caddy, Nginx):
        with (
            proxy(tmp_path / proxy.__name__, broken.path, instance.port) as running,
            pytest.raises(AssertionError, match="others wait"),
        ):
            drill_slow(instance, running)


@only_asgi
def test_heads_and_bodies_without_a_limit_are_noticed(
    project, env, start, break_promise, tmp_path
):
    break_promise(
        "deploy/caddy/Caddyfile", "max_header_size 32KiB", "max_header_size 1GiB"
    )
    break_promise(
        "deploy/nginx/default.conf", "client_body_timeout 20s", "client_body_timeout 1s"
    )
    broken = break_promise(
        "deploy/nginx/default.conf",
        "client_max_body_size 25m",
        "client_max_body_size 0",
    )
    instance = start(project, env)
    for proxy, attack in ((Caddy, "headers?"), (Nginx, "endless chunks")):
        with (
            proxy(tmp_path / proxy.__name__, broken.path, instance.port) as running,
            pytest.raises(
                AssertionError, match=f"{attack} through {proxy.__name__}: status"
            ),
        ):
            drill_fast(instance, running)


@only_asgi
def test_slow_clients_that_are_told_too_late_are_noticed(
    project, env, start, tmp_path, monkeypatch
):
    monkeypatch.setattr("tests.drill.test_uploads.SLOW_S", 2)
    instance = start(project, env)
    for proxy in (Caddy, Nginx):
        with (
            proxy(tmp_path / proxy.__name__, project.path, instance.port) as running,
            pytest.raises(
                AssertionError,
                match=f"stalled body through {proxy.__name__}: status None",
            ),
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
    told = f"slow clients told within {slow:.0f} s, others served within {others:.1f} s"
    return f"{len(statuses)} attacks get {' '.join(map(str, sorted(set(statuses))))}; {told}; {grown:+.0f} MiB"


def drill_directly(instance) -> list[int]:
    """What the application promises of itself: a body is refused by its length, or for want of one."""
    connect = lambda: socket.create_connection(("127.0.0.1", instance.port), timeout=5)  # noqa: E731
    seen = []
    for name, pieces, refusal in (
        (
            "a few chunks",
            [post(b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n"],
            411,
        ),
        ("endless chunks", endless_chunks(), 411),
        ("5 GiB declared", declared(b"/drill/received/"), 413),
    ):
        status = send(connect, pieces)
        assert status == refusal, f"{name}: status {status}"
        seen.append(status)
    return seen


def drill_whole(proxy: Proxy) -> None:
    """A body arrives whole, or not at all."""
    for size in (2_000, 2_000_000, LARGEST):
        connection = client(proxy.port, tls=True)
        connection.request("POST", "/drill/received/", bytes(size), PUBLIC)
        received = json.loads(connection.getresponse().read())["bytes"]
        assert received == size, (
            f"of {size} bytes through {proxy.name} there arrive {received}"
        )
        connection.close()
    head = post(b"Content-Length: %d" % (LARGEST + 1), path=b"/drill/received/")
    status = send(proxy.connect, [head, bytes(LARGEST + 1)])
    assert status == 413, f"a byte too many through {proxy.name}: status {status}"


def drill_fast(instance, proxy: Proxy) -> list[int]:
    """What arrives as fast as it can; the statuses."""
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
        # It sets no limit to the time that a body may take, but one to how many there are.
        with ExitStack() as stack:
            for _ in range(SENDERS):
                stack.enter_context(proxy.connect()).sendall(SLOW["dripping body"][0])
            seen.append(send(proxy.connect, [SLOW["dripping body"][0]]))
            assert seen[-1] == 429, (
                f"body {SENDERS + 1} of one address: status {seen[-1]}"
            )
    return seen


def drill_slow(instance, *proxies: Proxy) -> tuple[float, float]:
    """Slow clients of every kind at every proxy: the seconds until they are told, and those that others had to wait."""
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
    for (proxy, name), (status, seconds) in zip(kinds, ends, strict=True):
        is_right = (
            status is None
            if is_held(proxy, name)
            else status == CLOSED or status in range(400, 500)
        )
        assert is_right, (
            f"{name} through {proxy.name}: status {status} after {seconds:.0f} s"
        )
    assert "/drill/body/" not in instance.process.log, (
        "a slow body has reached the application"
    )
    return max(seconds for status, seconds in ends if status is not None), max(
        others.longest for others in watchers
    )


def is_held(proxy: Proxy, name: str) -> bool:
    """Tell whether the proxy never ends such a client, and only keeps it away from the application."""
    return isinstance(proxy, Nginx) and name == "dripping body"


class Others:
    """A client like any other, which asks all the time and keeps the longest that it had to wait, in seconds.

    When that is too long the attack may end: the event is set.
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
        assert not self.problem, (
            f"{self.name}: others wait for an answer: {self.problem!r}"
        )

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
    return [
        post(b"Transfer-Encoding: chunked"),
        *[b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE)] * 64,
    ]


@cache
def attacks() -> list[tuple[str, Iterable[bytes], tuple[int, ...]]]:
    """Names, what is sent piece by piece until the answer is there, and the statuses that are right."""
    too_large_a_head = (
        400,
        414,
        431,
    )  # nginx has its own status for each, and shows 400 for most
    paths = (b"/drill/upload/", b"/health/live/", b"/static/admin/css/base.css")
    bomb = gzip.compress(multipart(bytes(200 * 1024 * 1024)), 1)
    form = b"Content-Type: multipart/form-data; boundary=b"
    images = {
        "PNG of 4 gigapixels": png(65_000, 65_000),
        "PNG of 2 GiB": png(30_000, 24_000),
    }
    return [
        ("endless chunks", endless_chunks(), (411, 413)),
        *(
            (f"5 GiB declared for {path.decode()}", declared(path), (413,))
            for path in paths
        ),
        (
            "huge header",
            [b"GET / HTTP/1.1\r\nX-Test: ", *[b"a" * 65536] * 160, b"\r\n\r\n"],
            too_large_a_head,
        ),
        (
            "thousands of headers",
            [b"GET / HTTP/1.1\r\n", b"X-Test: a\r\n" * 5000, b"\r\n"],
            too_large_a_head,
        ),
        (
            "endless headers",
            [b"GET / HTTP/1.1\r\n", *[b"X-Test: aaaaaaaa\r\n" * 4000] * 160],
            too_large_a_head,
        ),
        ("endless line", [b"GET /", *[b"a" * 65536] * 160], too_large_a_head),
        *(
            (
                name,
                [
                    post(form, b"Content-Length: %d" % len(multipart(image))),
                    multipart(image),
                ],
                (400,),
            )
            for name, image in images.items()
        ),
        (
            "gzip bomb",
            [
                post(
                    form, b"Content-Encoding: gzip", b"Content-Length: %d" % len(bomb)
                ),
                bomb,
            ],
            (400, 415),
        ),
    ]


def png(width: int, height: int) -> bytes:
    """An image of one colour, in a few hundred kilobytes at most, that takes 3 bytes for each pixel in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = zlib.compress(bytes(50 * 1024 * 1024), 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def multipart(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def send(connect: Callable[[], socket.socket], pieces: Iterable[bytes]) -> int:
    """The status of the answer to what is sent; 0 without an answer."""
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
    """The status that a slow client gets (None for nothing at all), and after how many seconds."""
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
    """The status that comes within so many seconds, 0 at the end of the connection; None for nothing yet."""
    connection.settimeout(seconds)
    try:
        line = connection.recv(4096)
    except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
        return None
    except OSError:
        return CLOSED
    return int(line.split()[1]) if line else CLOSED
