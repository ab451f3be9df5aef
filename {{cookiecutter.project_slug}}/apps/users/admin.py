"""Users in the admin."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from apps.users.models import User

# %if cookiecutter.task_queue != "none"
# The e-mail address is asked for at once: the welcome mail goes there.
admin.site.register(User, UserAdmin, add_fieldsets=(*UserAdmin.add_fieldsets, (None, {"fields": ("email",)})))
# %else
admin.site.register(User, UserAdmin)
# %endif
