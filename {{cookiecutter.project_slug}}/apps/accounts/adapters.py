"""Where django-allauth asks the project.

https://docs.allauth.org/en/latest/common/adapter.html
"""

import logging
from base64 import urlsafe_b64encode
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from apps.accounts.guessing import forget_guesses
from core.proxies import UNKNOWN, read_address

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    def get_client_ip(self, request: HttpRequest) -> str:
        return str(read_address(request.META.get("REMOTE_ADDR", "")) or UNKNOWN)

    def clean_email(self, email: str) -> str:
        """Refuse letters that databases and mail servers compare in other ways."""
        if not email.isascii():
            text = _("Use letters without accents, also in the domain: write xn--.")
            raise ValidationError(text)
        return email

    def can_delete_email(self, address: EmailAddress) -> bool:
        """Keep what staff entered: another address would take its place unconfirmed."""
        if not address.primary and address.email == address.user.email.lower():
            return False
        return bool(super().can_delete_email(address))

    def get_login_stages(self) -> list[str]:
        ours = "apps.accounts.stages.ConfirmAddressStage"
        stages = super().get_login_stages()
        return [ours if "EmailVerification" in stage else stage for stage in stages]

    def reauthenticate(self, user: Any, password: str) -> bool:
        is_right: bool = super().reauthenticate(user, password)
        if is_right:
            forget_guesses(user)
        return is_right

    def send_mail(self, template_prefix: str, email: str, context: Any) -> None:
        """Say it on the page if the mail server is away, instead of a status 500.

        No task sends these mails: it would keep their links where tasks are kept.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, UnicodeError) as error:
            logger.error("a mail could not be sent: %s", type(error).__name__)
            # A confirmation can be asked for again after three minutes.
            text = _("We could not send the e-mail. Please try again in five minutes.")
            messages.error(self.request, text)
            self.request.mail_failed = True


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def get_requests_session(self) -> Any:
        session = super().get_requests_session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, ProviderTransport())
        return session


class ProviderTransport(HTTPAdapter):
    def send(self, *args: Any, **options: Any) -> Any:
        """Lead back to the log-in if the provider fails, instead of a status 500."""
        try:
            response = super().send(*args, **options)
            response.raise_for_status()
        except RequestException as error:
            status = getattr(error.response, "status_code", "no answer")
            logger.warning("the provider failed: %s, %s", type(error).__name__, status)
            text = _("The other site could not be used. Please try again later.")
            messages.error(context.request, text)
            raise ImmediateHttpResponse(redirect("account_login")) from error
        return response


class MFAAdapter(DefaultMFAAdapter):
    """Encrypts the secrets of factors: a stolen backup alone makes no code.

    Like sessions they need DJANGO_SECRET_KEY, or one of its fallbacks.
    """

    def encrypt(self, text: str) -> str:
        return self.get_box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return self.get_box().decrypt(encrypted_text.encode()).decode()

    def get_box(self) -> MultiFernet:
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        hashes = [salted_hmac("mfa", "", key, algorithm="sha256") for key in keys]
        return MultiFernet([Fernet(urlsafe_b64encode(h.digest())) for h in hashes])
