"""Puts the project's own admin site in the place of Django's."""

from django.contrib.admin.apps import AdminConfig


class SecondFactorConfig(AdminConfig):
    default_site = "apps.accounts.site.SecondFactorSite"
