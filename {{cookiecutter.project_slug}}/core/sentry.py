"""Sends errors to Sentry, where a DSN is set, without what would identify a person or open a door.

https://docs.sentry.io/platforms/python/integrations/django/
"""

import re
from typing import Any

from apps.observability.request_ids import current_request_id

REPLACEMENTS = (
    (re.compile(r"://[^/\s@]*@"), "://[Filtered]@"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[Filtered]"),
    (re.compile(r"\?[^\s\"'<>]*=[^\s\"'<>]*"), "?[Filtered]"),
)
SENSITIVE_KEYS = {"http.fragment", "http.query", "sys.argv"}
SAFE_HEADERS = {"accept", "content-length", "content-type", "host", "user-agent", "x-request-id"}


def start_sentry(dsn: str, environment: str, release: str, traces_sample_rate: float) -> None:
    """Start the client; ``traces_sample_rate`` is the share of requests, 0 to 1, whose timing is recorded."""
    # Imported here: without a DSN nobody pays for it.
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
    from sentry_sdk.integrations.stdlib import StdlibIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    from apps.observability.sentry_integration import RequestIntegration

    # What a scanner sends is not an error of ours.
    ignore_logger("django.security.*")
    # Written at the end of a request, when nothing can happen any more that it would explain.
    ignore_logger("access")
    # %if cookiecutter.task_queue == "celery"
    from sentry_sdk.integrations.celery import CeleryIntegration

    # %endif
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        traces_sample_rate=traces_sample_rate,
        # Only what is asked for.
        auto_enabling_integrations=False,
        integrations=[
            RequestIntegration(),
            # Errors in the log are told; the log itself is not sent line by line.
            LoggingIntegration(sentry_logs_level=None),
            # Gunicorn's threads would be handed a copy of what the main thread knows for each request.
            ThreadingIntegration(propagate_scope=False),
            # By itself it tells the terminal, in plain words, that it still has something to send.
            AtexitIntegration(callback=lambda pending, timeout: None),
            # %if cookiecutter.task_queue == "celery"
            # A request that is not recorded has no trace that its tasks could belong to.
            CeleryIntegration(propagate_traces=False),
            # %endif
        ],
        # Arguments of a process may be secrets. The other one hands the ids of traces to every host that is called, and
        # measures each event that the client itself sends.
        disabled_integrations=[ArgvIntegration, StdlibIntegration],
        # A session for every request, for the one figure of how many went well.
        auto_session_tracking=False,
        max_request_body_size="never",
        # The values of variables in a traceback are whatever the code had at hand, passwords among them.
        include_local_variables=False,
        before_send=scrub,
        before_send_transaction=scrub,
    )


def scrub(event: Any, hint: dict[str, Any]) -> Any:
    """Tag an event with the request id; drop cookies, bodies and query strings, and black out e-mail addresses."""
    if request_id := current_request_id():
        event.setdefault("tags", {})["request_id"] = request_id
    request = event.get("request", {})
    for part in ("cookies", "data", "query_string", "env"):
        request.pop(part, None)
    request["headers"] = {
        name: value for name, value in request.get("headers", {}).items() if name.lower() in SAFE_HEADERS
    }
    event.pop("user", None)
    return black_out(event)


def black_out(value: Any) -> Any:
    """The same structure with the credentials, e-mail addresses and query strings in its texts replaced."""
    if isinstance(value, str):
        # Most texts hold neither, and are not searched.
        if "@" in value or "?" in value:
            for pattern, replacement in REPLACEMENTS:
                value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {key: black_out(item) for key, item in value.items() if key not in SENSITIVE_KEYS}
    if isinstance(value, list):
        return [black_out(item) for item in value]
    return value
