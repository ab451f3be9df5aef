"""Django's backend for PostgreSQL, with a cheaper look at the connections that threads keep between requests.

https://docs.djangoproject.com/en/stable/ref/databases/#subclassing-the-built-in-database-backends
"""

from django.db.backends.postgresql import base

from apps.operations.pool import is_silent


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Whether the server still answers; it is asked only where something waits in the socket, or has failed."""
        if self.connection and not self.errors_occurred and is_silent(self.connection):
            return True
        return bool(super().is_usable())
