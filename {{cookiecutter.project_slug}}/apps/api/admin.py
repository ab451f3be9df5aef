"""Where tokens are issued and revoked: delete one and it is void at once."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html

from apps.api.models import AccessToken


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    list_display = ("name", "user", "created_at", "expires_at")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    def save_model(
        self, request: HttpRequest, obj: AccessToken, form: Any, change: bool
    ) -> None:
        """Show the text of a new token, this once."""
        if not change:
            note = "Copy the token now, it is not shown again: <code>{}</code>"
            messages.warning(request, format_html(note, obj.renew()))
        super().save_model(request, obj, form, change)
