"""Users in the admin."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from apps.users.models import User


@admin.register(User)
class ProjectUserAdmin(UserAdmin):
    """Django's pages for users; the list shows the last log-in of each."""

    # %if cookiecutter.login == "email"
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Personal info", {"fields": ("first_name", "last_name")}),
        *UserAdmin.fieldsets[2:],  # type: ignore[index]
    )
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    # %endif
    # %if cookiecutter.login == "email" or cookiecutter.task_queue != "none"
    add_fieldsets = (
        # %if cookiecutter.login == "email"
        (None, {"fields": ("email",)}),
        (None, {"fields": ("usable_password", "password1", "password2")}),
        # %else
        *UserAdmin.add_fieldsets,
        # The e-mail address is asked for at once: the welcome mail goes there.
        (None, {"fields": ("email",)}),
        # %endif
    )
    # %endif
    list_display = (
        # %if cookiecutter.login == "username"
        *UserAdmin.list_display,  # type: ignore[misc]
        # %else
        *UserAdmin.list_display[1:],  # type: ignore[misc]
        # %endif
        "last_login",
    )
