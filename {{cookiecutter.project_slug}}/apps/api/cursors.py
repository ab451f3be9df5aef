"""Pages of lists that can grow large."""

from typing import Any

import pydantic
from django.core.exceptions import ValidationError
from ninja.errors import HttpError
from ninja.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """For models with ``created_at`` and an index on ("-created_at", "-id")."""

    def __init__(self, **options: Any) -> None:
        super().__init__(ordering=("-created_at", "-id"), **options)

    def paginate_queryset(self, *args: Any, **options: Any) -> Any:
        """Anybody can make a cursor up: one that names no time is refused."""
        try:
            return super().paginate_queryset(*args, **options)
        except (ValidationError, pydantic.ValidationError, OverflowError):
            raise HttpError(400, "Invalid cursor.") from None
