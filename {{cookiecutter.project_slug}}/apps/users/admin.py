"""Users and groups in the admin: only a superuser changes who may do what."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
# %if cookiecutter.accounts == "none"
from django.http import HttpRequest

# %else
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

# %endif
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
    # %if cookiecutter.accounts == "allauth"
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> Any:
        """Let the next log-in confirm a changed address; the former ones end."""
        obj.email = obj.email.lower()
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            obj.emailaddress_set.all().delete()

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - the name in Django
        form_url: str = "",
    ) -> HttpResponse:
        """Lead to the page for one's own password, which knows the sessions."""
        if request.user.is_superuser and id == str(request.user.pk):
            return redirect("account_change_password")
        return super().user_change_password(request, id, form_url)

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
