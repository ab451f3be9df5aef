"""Users and groups in the admin: only a superuser changes who may do what."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from apps.users.models import User

admin.site.unregister(Group)


@admin.register(User)
class ProjectUserAdmin(UserAdmin):
    """Other staff may make users, and edit those who cannot enter the admin."""

    # %if cookiecutter.login == "email"
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name")}),
        *UserAdmin.fieldsets[2:],  # type: ignore[index]
    )
    list_display = ("email", "first_name", "last_name", "is_staff", "last_login")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    # %endif
    # %if cookiecutter.login == "email" or cookiecutter.task_queue != "none" or cookiecutter.accounts != "none"
    add_fieldsets = (
        # %if cookiecutter.login == "email"
        (None, {"fields": ("email", "usable_password", "password1", "password2")}),
        # %else
        *UserAdmin.add_fieldsets,
        # The e-mail address is asked for at once: mails go there.
        (None, {"fields": ("email",)}),
        # %endif
    )

    # %endif
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = ("is_staff", "is_superuser", "groups", "user_permissions")
        return () if request.user.is_superuser else powers

    def get_queryset(self, request: HttpRequest) -> Any:
        """Hide those with powers: who sets their password has their powers."""
        users = super().get_queryset(request)
        is_super = request.user.is_superuser
        return users if is_super else users.filter(is_staff=False, is_superuser=False)


def is_superuser(self: Any, request: HttpRequest, obj: Any = None) -> bool:
    return request.user.is_superuser


@admin.register(Group)
class ProjectGroupAdmin(GroupAdmin):
    has_add_permission = has_change_permission = has_delete_permission = is_superuser
