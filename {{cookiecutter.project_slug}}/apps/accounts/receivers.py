"""What follows a sign-up and a first factor."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import user_signed_up
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.usersessions.models import UserSession
from django.dispatch import receiver
from django.http import HttpRequest


@receiver(user_signed_up)
def keep_address(user: Any, **kwargs: Any) -> None:
    """Keep an address that somebody else signed up with at the same moment.

    A user without one would count as one whom staff have entered, and be confirmed.
    """
    if user.email and not EmailAddress.objects.filter(user=user).exists():
        email = user.email.lower()
        EmailAddress.objects.create(user=user, email=email, primary=True)


@receiver(authenticator_added)
def end_older_sessions(request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """End the sessions that began with a password alone, at the first factor."""
    factors = Authenticator.objects.filter(user=user)
    if factors.exclude(type=Authenticator.Type.RECOVERY_CODES).count() == 1:
        others = UserSession.objects.filter(user=user)
        for session in others.exclude(session_key=request.session.session_key):
            session.end()
