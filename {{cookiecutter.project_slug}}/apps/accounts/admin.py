"""Users with accounts; the lists of addresses and factors.

Who may change these lists gets into any account: they are for superusers alone.
"""

from typing import Any

from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.shortcuts import redirect

from apps.users.admin import ProjectUserAdmin, is_superuser
from apps.users.models import User

CHECKS = [
    f"has_{what}_permission" for what in ("add", "change", "delete", "module", "view")
]

for model in apps.get_models():
    if model.__module__.startswith("allauth") and admin.site.is_registered(model):
        model_admin = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        closed = dict.fromkeys(CHECKS, is_superuser)
        admin.site.register(model, type(model_admin.__name__, (model_admin,), closed))

# Who deletes a session there does not end it.
admin.site.unregister(UserSession)
admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(ProjectUserAdmin):
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> Any:
        """Let the next log-in confirm a changed address; the former ones end."""
        obj.email = obj.email.lower()
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            obj.emailaddress_set.all().delete()

    def user_change_password(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Lead to the page for one's own password, which knows the sessions."""
        if request.user.is_superuser and kwargs["id"] == str(request.user.pk):
            return redirect("account_change_password")
        return super().user_change_password(request, *args, **kwargs)
