"""Static files as the edge answers for them, with what Django's middleware would have given them."""

import logging
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from apps.edge import files
from apps.observability.request_ids import current_request_id

PATH = "/static/site.css"


@pytest.fixture(autouse=True)
def collected(settings: Settings, tmp_path: Path) -> None:
    """One collected file, served behind a proxy that ends TLS."""
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_AUTOREFRESH = False
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 300
    (tmp_path / "site.css").write_text("p { color: red }")
    files.security_headers.cache_clear()


def test_a_file_has_the_headers_of_every_response() -> None:
    headers = dict(answer().headers)
    assert headers["Content-Type"] == 'text/css; charset="utf-8"'
    assert headers["Strict-Transport-Security"] == "max-age=300"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Request-ID"] == "7"


def test_a_file_has_its_access_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "access")
    answer()
    [record] = caplog.records
    assert record.getMessage() == f"GET {PATH} 200"
    assert record.__dict__["remote_addr"] == "198.51.100.7"


def test_a_file_that_is_gone_is_left_to_django(tmp_path: Path) -> None:
    found = files.find_files()[PATH]
    (tmp_path / "site.css").unlink()
    assert files.answer(found, PATH, {"REQUEST_METHOD": "GET", "HTTP_X_FORWARDED_PROTO": "https"}) is None
    assert current_request_id() is None


def test_plain_http_is_left_to_django_which_redirects() -> None:
    assert answer(HTTP_X_FORWARDED_PROTO="http") is None


def test_a_stranger_cannot_claim_https() -> None:
    assert answer(REMOTE_ADDR="198.51.100.9") is None


def test_plain_http_is_served_where_nobody_is_redirected(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = False
    assert "Strict-Transport-Security" not in dict(answer(HTTP_X_FORWARDED_PROTO="http").headers)


def test_each_browser_that_has_the_file_gets_headers_of_its_own() -> None:
    etag = dict(answer().headers)["ETag"]
    first, second = answer(HTTP_IF_NONE_MATCH=etag), answer(HTTP_IF_NONE_MATCH=etag)
    assert (first.status, second.status) == (304, 304)
    assert len(first.headers) == len(second.headers)


def answer(**changed: str) -> Any:
    meta = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_X_FORWARDED_FOR": "198.51.100.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_REQUEST_ID": "7",
    }
    response = files.answer(files.find_files()[PATH], PATH, meta | changed)
    if response and response.file:
        response.file.close()
    return response
