"""Where tokens are issued and revoked: delete one and it is void at once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from apps.api.models import AccessToken


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    """A token never changes hands; only a superuser issues one for somebody else."""

    list_display = ("name", "user", "created_at", "expires_at")
    autocomplete_fields = ("user",)

    def get_queryset(self, request: HttpRequest) -> Any:
        tokens = super().get_queryset(request)
        user = request.user
        return tokens if user.is_superuser else tokens.filter(user=user.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("user",) if obj or not request.user.is_superuser else ()

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        if not change:
            # The form of a person who is no superuser names nobody.
            obj.user_id = obj.user_id or request.user.pk
            obj.renew()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """Show the text of the token: in this response alone, and stored nowhere."""
        context = {"title": _("Token %s") % obj, "text": obj.text}
        context |= self.admin_site.each_context(request)
        return render(request, "api/token.html", context)
