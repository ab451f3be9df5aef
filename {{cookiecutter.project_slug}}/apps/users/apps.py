"""Greets whoever gets an account."""

from django.apps import AppConfig
from django.db.models.signals import post_save


class UsersConfig(AppConfig):
    name = "apps.users"

    def ready(self) -> None:
        # Here, not in the first request that needs it: the workers of the server share what is loaded now.
        from apps.users.welcome import welcome

        post_save.connect(
            welcome, sender=self.get_model("User"), dispatch_uid="welcome"
        )
