"""Who has to confirm an e-mail address before the first log-in."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage


class ConfirmAddressStage(EmailVerificationStage):
    """Ask people who signed up: staff vouch for the addresses that they enter."""

    def handle(self) -> Any:
        user = self.login.user
        # django-allauth adds other rows by itself, for a reset or the page of addresses.
        if not user or EmailAddress.objects.get_primary(user):
            return super().handle()
        email = user.email.lower()
        if email and not EmailAddress.objects.is_verified(email):
            confirmed = {"primary": True, "verified": True}
            EmailAddress.objects.update_or_create(confirmed, user=user, email=email)
        return None, True
