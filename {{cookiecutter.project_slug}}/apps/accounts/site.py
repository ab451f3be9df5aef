"""The admin behind the log-in of the site, and behind a second factor.

https://docs.djangoproject.com/en/stable/ref/contrib/admin/#overriding-the-default-admin-site
"""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _


class SecondFactorSite(admin.AdminSite):
    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and has_used_factor(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Lead to the page that counts wrong passwords and knows the sessions."""
        return redirect("account_change_password")

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lead to the log-in, to the code, or to the page that sets a factor up."""
        page = request.GET.get("next", reverse("admin:index"))
        if not request.user.is_authenticated:
            return redirect_to_login(page)
        if not super().has_permission(request):
            raise PermissionDenied
        if has_used_factor(request):
            return redirect("admin:index")
        for method in get_adapter().get_reauthentication_methods(request.user):
            if method["id"].startswith("mfa_reauthenticate"):
                text = _("The admin needs a code or a security key.")
                messages.warning(request, text)
                return redirect_to_login(page, method["url"])
        text = _("The admin needs a second factor. Set one up, then open the admin.")
        messages.warning(request, text)
        return redirect("mfa_index")


def has_used_factor(request: HttpRequest) -> bool:
    """Tell whether this session gave a code or a passkey, where that is asked for."""
    records = get_authentication_records(request, request.user)
    is_used = any(record["method"] == "mfa" for record in records)
    return is_used or not settings.ADMIN_REQUIRE_MFA
