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
    from sentry_sdk.integrations import django
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.logging import ignore_logger

    # What a scanner sends is not an error of ours.
    ignore_logger("django.security.*")
    # Written at the end of a request, when nothing can happen any more that it would explain.
    ignore_logger("access")
    # %if cookiecutter.task_queue == "celery"
    from sentry_sdk.integrations.celery import CeleryIntegration

    # %endif
    # Each middleware, view and receiver of a signal would be wrapped for a span, even where spans are off.
    for patch in ("patch_django_middlewares", "patch_signals", "patch_views"):
        setattr(django, patch, lambda: None)

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        traces_sample_rate=traces_sample_rate,
        # Only what is asked for, and no span for each middleware, signal and cache call: they cost more than they tell.
        auto_enabling_integrations=False,
        integrations=[
            django.DjangoIntegration(middleware_spans=False, signals_spans=False, cache_spans=False),
            # By itself it tells the terminal, in plain words, that it still has something to send.
            AtexitIntegration(callback=lambda pending, timeout: None),
            # %if cookiecutter.task_queue == "celery"
            CeleryIntegration(),
            # %endif
        ],
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
        for pattern, replacement in REPLACEMENTS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {key: black_out(item) for key, item in value.items() if key not in SENSITIVE_KEYS}
    if isinstance(value, list):
        return [black_out(item) for item in value]
    return value
