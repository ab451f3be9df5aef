"""The lists of addresses, factors and sessions: for superusers alone.

A person who may change them gets into any account.
"""

from django.apps import apps
from django.contrib import admin

from apps.users.admin import is_superuser

CHECKS = [
    f"has_{what}_permission" for what in ("add", "change", "delete", "module", "view")
]

for model in apps.get_models():
    if model.__module__.startswith("allauth") and admin.site.is_registered(model):
        model_admin = type(admin.site.get_model_admin(model))
        admin.site.unregister(model)
        closed = dict.fromkeys(CHECKS, is_superuser)
        admin.site.register(model, type(model_admin.__name__, (model_admin,), closed))
