"""Where tokens are issued and revoked: delete one and it is void at once."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.api.models import AccessToken


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):
    """A token never changes hands; only a superuser issues one for somebody else."""

    list_display = ("name", "user", "created_at", "expires_at")
    list_select_related = ("user",)
    autocomplete_fields = ("user",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessToken]:
        tokens = super().get_queryset(request)
        is_super = request.user.is_superuser
        return tokens if is_super else tokens.filter(user=request.user.pk)

    def get_readonly_fields(
        self, request: HttpRequest, obj: AccessToken | None = None
    ) -> tuple[str, ...]:
        return ("user",) if obj or not request.user.is_superuser else ()

    def save_model(
        self, request: Any, obj: AccessToken, form: Any, change: bool
    ) -> None:
        if not change:
            if not request.user.is_superuser:
                obj.user_id = request.user.pk
            obj.renew()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: AccessToken, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the text of the token: in this response alone, and stored nowhere."""
        context = self.admin_site.each_context(request)
        context |= {"title": f"Token {obj}", "text": obj.text}
        return render(request, "api/token.html", context)
