"""Both APIs in production mode: log-in, CORS, limits, errors, and the docs page."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie

import pytest
from openapi_spec_validator import validate

from tests.bakery import Project, production_environment
from tests.services import Caddy, Redis, free_port
from tests.serving import Answer, Server, serve

ME = "/api/v1/users/me/"
PASSWORD = "correct horse battery"
SITE = "https://app.shop.test"
# Each API has a different server, database and interface.
APIS = [
    {"api": "drf", "interface": "wsgi", "database": "postgresql"},
    {"api": "ninja", "interface": "asgi", "database": "mysql"},
]
SCHEMAS = {"drf": "/api/schema/", "ninja": "/api/openapi.json"}
PARAMS = [
    pytest.param(row, id=row["api"], marks=pytest.mark.xdist_group(f"api={row['api']}"))
    for row in APIS
]
every_api = pytest.mark.parametrize("project", PARAMS, indirect=True, scope="module")

SET_UP = f"""
from apps.api.models import AccessToken
from apps.users.models import User
user = User.objects.create_superuser("ada", "ada@shop.test", {PASSWORD!r})
token = AccessToken(user=user, name="test")
token.renew()
token.save()
print(token.text)
"""
# Runs before the scripts of a page and writes what the policy blocks to the console.
LISTEN = """document.addEventListener("securitypolicyviolation",
    event => console.error("blocked", event.violatedDirective, event.blockedURI))"""


@every_api
def test_strangers_are_refused(api):
    for method in ("GET", "PATCH"):
        answer = ask(api, method, ME, {"first_name": "Eve"})
        assert (answer.status, is_json(answer)) == (401, True)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@every_api
def test_token_lets_in(api, token):
    changes = {"first_name": "Ada", "is_staff": False}
    assert ask(api, "PATCH", ME, changes, **bearer(token)).status == 200
    seen = json.loads(ask(api, "GET", ME, **bearer(token)).body)
    assert set(seen) == {"username", "email", "first_name", "last_name", "date_joined"}
    assert (seen["email"], seen["first_name"]) == ("ada@shop.test", "Ada")
    for name in ("\0", "\ud800", "x" * 151, None):
        answer = ask(api, "PATCH", ME, {"first_name": name}, **bearer(token))
        assert answer.status in (400, 422)


@every_api
def test_session_lets_in_and_changes_nothing_without_the_csrf_token(api):
    cookies = log_in(api)
    session = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Origin": "https://shop.test",
    }
    assert ask(api, "GET", ME, **session).status == 200
    refused = ask(api, "PATCH", ME, {"first_name": "Eve"}, **session)
    assert (refused.status, is_json(refused)) == (403, True)
    session["X-CSRFToken"] = cookies["__Host-csrftoken"]
    changed = ask(api, "PATCH", ME, {"first_name": "Augusta"}, **session)
    assert changed.status == 200
    session["Origin"] = SITE
    refused = ask(api, "PATCH", ME, {"first_name": "Eve"}, **session)
    assert refused.status == 403


@every_api
def test_only_named_sites_are_let_in_and_without_the_session(api):
    preflight = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization",
    }
    allowed = ask(api, "OPTIONS", ME, **preflight, Origin=SITE)
    assert allowed.status == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == SITE
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"]
    assert allowed.headers["Access-Control-Allow-Credentials"] is None
    for path, origin in ((ME, "https://evil.test"), (ME, "null"), ("/", SITE)):
        refused = ask(api, "OPTIONS", path, **preflight, Origin=origin)
        assert refused.headers["Access-Control-Allow-Origin"] is None


@every_api
def test_flood_from_one_address_is_refused_whatever_it_says_of_itself(api):
    def flood(number: int, address: str) -> Answer:
        forwarded = {"X-Forwarded-For": f"192.0.2.{number}, {address}"}
        return ask(api, "GET", "/api/", **forwarded)

    answers = [flood(number, "198.51.100.7") for number in range(70)]
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429}
    assert 5 <= len(refused) <= 10  # two requests at the same time may count as one
    for answer in refused:
        assert is_json(answer)
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert flood(0, "198.51.100.8").status == 200


@every_api
def test_schema_is_valid(api, project):
    answer = ask(api, "GET", SCHEMAS[project.answers["api"]])
    schema = json.loads(answer.body)
    validate(schema)
    assert schema["openapi"].startswith("3.1")
    info = schema["info"]
    assert (info["title"], info["version"]) == ("My Project", "0.1.0")


@every_api
def test_schema_has_no_language_of_a_client(api, project):
    url = SCHEMAS[project.answers["api"]]
    answers = [ask(api, "GET", url), ask(api, "GET", f"{url}?lang=de-1&version=%0A")]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


@every_api
def test_schema_is_made_for_many_at_the_same_moment(project, env, tmp_path):
    def read(number: int) -> int:
        client = {"X-Forwarded-For": f"203.0.113.{number}"}
        return ask(server, "GET", SCHEMAS[project.answers["api"]], **client).status

    with serve(project, env, tmp_path) as server, ThreadPoolExecutor(8) as pool:
        assert [*pool.map(read, range(64))] == [200] * 64


@every_api
def test_missing_path_is_told_in_json(api):
    answer = ask(api, "GET", "/api/nowhere/")
    assert (answer.status, is_json(answer)) == (404, True)
    assert ask(api, "GET", "/nowhere/").headers["Content-Type"].startswith("text/html")


@every_api
def test_broken_request_is_told_in_json(project, env, tmp_path):
    url = re.sub(r":\d+/", f":{free_port()}/", env["DATABASE_URL"])
    with serve(project, env | {"DATABASE_URL": url}, tmp_path) as server:
        answer = ask(server, "GET", ME, **bearer("t0psecret"))
    assert (answer.status, is_json(answer)) == (500, True)
    assert json.loads(answer.body) == {
        "detail": "Internal Server Error",
        "request_id": answer.headers["X-Request-ID"],
    }
    lines = [json.loads(line) for line in server.process.log.splitlines()]
    (error,) = [line for line in lines if line["logger"] == "django.request"]
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert "t0psecret" not in server.process.log


@every_api
def test_api_works_while_the_cache_is_down(api, redis, token):
    redis.stop()
    try:
        assert ask(api, "GET", "/api/").status == 200
        assert ask(api, "GET", ME, **bearer(token)).status == 200
        assert ask(api, "GET", ME).status == 401
    finally:
        redis.start()


@every_api
def test_malformed_origin_is_reported(project, env):
    broken = env | {"DJANGO_CORS_ALLOWED_ORIGINS": "https://app.shop.test/, *"}
    result = project.manage("check", env=broken, check=False)
    assert result.returncode == 1
    assert "DJANGO_CORS_ALLOWED_ORIGINS must be origins" in result.stderr


@every_api
def test_docs_work_in_a_browser_under_the_policy_and_load_nothing_from_other_sites(
    project, api, token, page, tmp_path
):
    messages, hosts = [], set()

    def keep_host(request) -> None:
        hosts.add(request.url.split("/")[2].split(":")[0])

    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", keep_host)
    page.add_init_script(LISTEN)
    port = int(api.url.rpartition(":")[2])
    with Caddy(tmp_path / "caddy", project.path, port) as caddy:
        page.goto(f"{caddy.url}/admin/login/")
        page.fill("#id_username", "ada")
        page.fill("#id_password", PASSWORD)
        page.click("[type=submit]")
        policy = page.goto(f"{caddy.url}/api/docs/").headers["content-security-policy"]
        # A user with a session tries out the request that changes the name.
        page.click(".opblock-patch .opblock-summary-control")
        page.click(".try-out__btn")
        page.fill(".body-param__text", '{"last_name": "Lovelace"}')
        page.click(".execute")
        status = page.inner_text(".live-responses-table .response .response-col_status")
        page.click("button.authorize")
        page.wait_for_selector(".auth-container")
    assert status.split()[0] == "200"
    user = json.loads(ask(api, "GET", ME, **bearer(token)).body)
    assert user["last_name"] == "Lovelace"
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert messages == []
    assert hosts - {""} == {"shop.test"}


@pytest.fixture(scope="module")
def project(request, tmp_path_factory) -> Project:
    project = Project.bake(tmp_path_factory.mktemp("api"), **request.param)
    project.sync()
    return project


@pytest.fixture(scope="module")
def redis(project, tmp_path_factory) -> Iterator[Redis]:
    """Start a cache for these tests only."""
    with Redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="module")
def env(project, services, redis) -> dict[str, str]:
    return production_environment(project.answers, services) | {
        "CACHE_URL": redis.url,
        "DJANGO_CORS_ALLOWED_ORIGINS": SITE,
    }


@pytest.fixture(scope="module")
def token(project, env) -> str:
    project.manage("collectstatic", "--noinput", env=env)
    project.manage("migrate", env=env)
    return project.manage("shell", "--no-imports", "-c", SET_UP, env=env).stdout.strip()


@pytest.fixture(scope="module")
def api(project, env, token, tmp_path_factory) -> Iterator[Server]:
    with serve(project, env, tmp_path_factory.mktemp("server")) as server:
        yield server
    assert token not in server.process.log


def ask(
    server: Server, method: str, path: str, body: object = None, **headers: str
) -> Answer:
    """Send a request as the proxy does, with a JSON body; return the answer."""
    headers = {
        "Host": "shop.test",
        "X-Forwarded-Proto": "https",
        "Content-Type": "application/json",
    } | headers
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        server.url + path, data=data, headers=headers, method=method
    )
    try:
        with server.opener.open(request, timeout=20) as response:
            return Answer(response)
    except urllib.error.HTTPError as error:
        return Answer(error)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def is_json(answer: Answer) -> bool:
    return answer.headers["Content-Type"].partition(";")[0] == "application/json"


def log_in(server: Server) -> dict[str, str]:
    """Log in and return the cookies."""
    form = server.get("/admin/login/")
    csrf = SimpleCookie(form.headers["Set-Cookie"])["__Host-csrftoken"].value
    fields = {"username": "ada", "password": PASSWORD, "csrfmiddlewaretoken": csrf}
    headers = {
        "Host": "shop.test",
        "X-Forwarded-Proto": "https",
        "Origin": "https://shop.test",
        "Cookie": f"__Host-csrftoken={csrf}",
    }
    request = urllib.request.Request(
        f"{server.url}/admin/login/", urllib.parse.urlencode(fields).encode(), headers
    )
    with pytest.raises(urllib.error.HTTPError) as redirect:
        server.opener.open(request, timeout=10)
    assert redirect.value.code == 302
    cookies = SimpleCookie("; ".join(redirect.value.headers.get_all("Set-Cookie")))
    names = ("__Host-sessionid", "__Host-csrftoken")
    return {name: cookies[name].value for name in names}
