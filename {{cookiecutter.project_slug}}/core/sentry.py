"""Send errors to Sentry, if a DSN is set, and leave personal data out.

https://docs.sentry.io/platforms/python/integrations/django/
"""

import re
from typing import Any

from core.logs import PROBES, request_id
from core.masking import mask

# E-mail addresses and query strings.
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<=\?)[^\s\"'<>]*=[^\s\"'<>]*")


def start_sentry(dsn: str, environment: str, release: str, sample_rate: float) -> None:
    """Start the client; ``sample_rate`` is the share of requests that are traced."""
    # Only here: nothing is imported without a DSN.
    import sentry_sdk
    from sentry_sdk.integrations.argv import ArgvIntegration
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.logging import ignore_logger
    from sentry_sdk.integrations.stdlib import StdlibIntegration
    from sentry_sdk.scrubber import EventScrubber

    # A refused request is no error of ours.
    ignore_logger("django.security.*")

    def sample(context: dict[str, Any]) -> float:
        """Return the rate: the sentry-trace header of a client changes nothing."""
        environ = context.get("wsgi_environ") or context.get("asgi_scope") or {}
        path = environ.get("PATH_INFO") or environ.get("path") or ""
        return 0 if path in PROBES else sample_rate

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        traces_sampler=sample,
        # No others: the integration of a cache would send the keys of sessions.
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(signals_spans=False),
            # The stock callback prints plain text at the end.
            AtexitIntegration(callback=lambda pending, timeout: None),
        ],
        # Arguments of a process may be secrets. Other hosts must not get trace ids.
        disabled_integrations=[ArgvIntegration, StdlibIntegration],
        auto_session_tracking=False,
        max_request_body_size="never",
        # The values of variables in a traceback may be passwords.
        include_local_variables=False,
        event_scrubber=EventScrubber(recursive=True),
        before_send=scrub,
        before_send_transaction=scrub,
        before_breadcrumb=lambda crumb, hint: clean(crumb),
    )


def scrub(event: Any, hint: dict[str, Any]) -> Any:
    """Tag an event with the request id; keep the parts that identify nobody."""
    if chosen := request_id.get():
        event.setdefault("tags", {})["request_id"] = chosen
    # Its URL, headers and cookies: the transaction is named by its route.
    event["request"] = {"method": event.get("request", {}).get("method")}
    event.pop("user", None)
    return clean(event)


def clean(value: Any) -> Any:
    """Return the same structure with what is secret or personal replaced."""
    if isinstance(value, str):
        return PERSONAL.sub("***", mask(value))
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value
