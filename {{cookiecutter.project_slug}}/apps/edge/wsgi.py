"""Answers probes and requests for static files before Django is asked, which would make each several times as dear.

Whatever else comes to their addresses is left to Django, whose middleware answers for both: other methods, plain HTTP.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.util import FileWrapper

from whitenoise.string_utils import decode_path_info

from apps.edge.files import answer, find_files
from apps.health.middleware import LIVE, READY, liveness, readiness
from apps.health.readiness import all_pass

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def with_edge(application: Application) -> Application:
    """The WSGI application, asked only for what is neither a probe nor a static file."""
    files = find_files()

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = decode_path_info(environ.get("PATH_INFO", ""))
        if environ["REQUEST_METHOD"] == "GET":
            if path in (READY, LIVE):
                status, headers, body = readiness(all_pass(), environ) if path == READY else liveness(environ)
                start_response(status_line(status), list(headers.items()))
                return [body]
            if (file := files.get(path)) and (found := answer(file, path, {**environ})):
                start_response(status_line(found.status), found.headers)
                return environ.get("wsgi.file_wrapper", FileWrapper)(found.file) if found.file else []
        return application(environ, start_response)

    return serve


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
