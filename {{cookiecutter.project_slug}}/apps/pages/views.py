"""The landing page, security.txt and the page for status 500."""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.shortcuts import render
from django.template import loader
from django.utils import timezone
from django.views.decorators.http import require_safe

from core.logs import request_id


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    context = {
        "project_description": settings.PROJECT_DESCRIPTION,
        "debug": settings.DEBUG,
    }
    return render(request, "home.html", context)


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Name the contact for reports of vulnerabilities (RFC 9116)."""
    expires = timezone.now() + timedelta(days=180)
    context = {
        "contact": settings.SECURITY_CONTACT,
        "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "canonical": f"https://{settings.ALLOWED_HOSTS[0].lstrip('.')}{request.path}",
    }
    return render(request, "security.txt", context, "text/plain; charset=utf-8")


def error_page(request: HttpRequest, status: int) -> HttpResponse:
    """Show the template of an error page, while DEBUG is on."""
    return render(request, [f"{status}.html", "404.html"], status=status)


def server_error(request: HttpRequest, exception: object = None) -> HttpResponse:
    """Show the page for status 500 with the request id, as in the log and in Sentry.

    It runs no context processor: those read the session and the user, which may fail.
    """
    context = {"request_id": request_id.get(), "csp_nonce": get_nonce(request)}
    return HttpResponse(loader.get_template("500.html").render(context), status=500)
