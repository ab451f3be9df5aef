"""Tokens for programs that use the API in somebody's name."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.users.models import User


def default_expiry() -> datetime:
    return timezone.now() + min(timedelta(days=90), settings.API_TOKEN_MAX_AGE)


def hash_token(text: str) -> str:
    """Return what is kept of a token: of 256 random bits a fast hash is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


class AccessToken(models.Model):
    """Only a digest is kept: neither the database nor its backup opens a door."""

    user = models.ForeignKey(User, models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=100, help_text=_("What it is for."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # A token ends when its user has another password.
    password_digest = models.CharField(max_length=64, editable=False, db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(default=default_expiry)

    text = ""  # of a token that was made just now; stored nowhere

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        latest = (self.created_at or timezone.now()) + settings.API_TOKEN_MAX_AGE
        if self.expires_at and self.expires_at > latest:
            text = _("This token ends on %s at the latest.")
            raise ValidationError({"expires_at": text % f"{latest:%Y-%m-%d %H:%M %Z}"})

    def renew(self) -> None:
        """Set a new text, and what is kept of it."""
        self.text = secrets.token_urlsafe(32)
        self.digest = hash_token(self.text)
        self.password_digest = hash_token(self.user.password)

    def is_valid(self) -> bool:
        """Tell whether it opens the API: in time, and its user may log in as before."""
        end = min(self.expires_at, self.created_at + settings.API_TOKEN_MAX_AGE)
        is_current = self.password_digest == hash_token(self.user.password)
        return is_current and self.user.is_active and timezone.now() < end
