"""What the links in the header need to know."""

from django.conf import settings
from django.http import HttpRequest


def accounts(request: HttpRequest) -> dict[str, bool]:
    return {"signup_is_open": settings.ACCOUNT_SIGNUP_ENABLED}
