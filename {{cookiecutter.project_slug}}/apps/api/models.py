"""Tokens for programs that use the API in somebody's name."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

LIFETIME = timedelta(days=90)


def default_expiry() -> datetime:
    return timezone.now() + LIFETIME


def hash_token(text: str) -> str:
    """Return what is kept of a token: of 256 random bits a fast hash is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


class AccessTokenManager(models.Manager["AccessToken"]):
    def find(self, text: str) -> "AccessToken | None":
        """Return the token with its user, if it is valid and its user may log in."""
        valid = self.filter(expires_at__gt=timezone.now(), user__is_active=True)
        return valid.select_related("user").filter(digest=hash_token(text)).first()


class AccessToken(models.Model):
    """Only a digest is kept: neither the database nor its backup opens a door."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens"
    )
    name = models.CharField(max_length=100, help_text="What it is for.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(default=default_expiry)

    objects = AccessTokenManager()

    def __str__(self) -> str:
        return self.name

    def renew(self) -> str:
        """Return a new text for this token, not yet saved; it cannot be read again."""
        text = secrets.token_urlsafe(32)
        self.digest = hash_token(text)
        return text
