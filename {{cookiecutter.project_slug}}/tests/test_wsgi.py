"""The application as a WSGI server calls it."""

from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from config.wsgi import application


@pytest.mark.django_db
def test_the_application_follows_the_specification() -> None:
    statuses = []
    environ: dict[str, Any] = {
        "PATH_INFO": "/robots.txt",
        "HTTP_HOST": "testserver",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }
    setup_testing_defaults(environ)

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        statuses.append(status)

    response = validator(application)(environ, start_response)
    body = b"".join(response)
    response.close()  # type: ignore[attr-defined]
    assert statuses == ["200 OK"]
    assert body.startswith(b"User-agent: *")
