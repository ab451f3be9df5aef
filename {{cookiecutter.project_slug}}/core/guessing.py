"""How django-axes counts wrong passwords: by user and address, and by address.

https://django-axes.readthedocs.io/en/latest/4_configuration.html
"""

import logging
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from core.proxies import UNKNOWN

logger = logging.getLogger(__name__)

USERS_PER_ADDRESS = 5  # an address may fail so many times as often as one user


class GuessingHandler(AxesDatabaseHandler):
    """Count an attempt before its password is checked, and keep nothing else of it.

    Of guesses at the same moment no more are checked than of guesses in turn.
    """

    def is_allowed(self, request: Any, credentials: Any = None) -> bool:
        name = get_client_username(request, credentials)
        if len(name or "") > 255:  # more than the table takes; it is nobody's
            return False
        self.clean_expired_user_attempts(request, credentials)
        if not super().is_allowed(request, credentials):
            return False
        row = {
            "username": name,
            "ip_address": request.axes_ip_address,
            "user_agent": "",
            "defaults": {"failures_since_start": 0},
        }
        # Made first: attempts that make a row and lock it in one transaction may wait for
        # each other without end.
        AccessAttempt.objects.get_or_create(**row)
        # The row is locked until the transaction ends: each attempt has its own number.
        with transaction.atomic():
            attempt, _ = AccessAttempt.objects.select_for_update().get_or_create(**row)
            attempt.failures_since_start += 1
            attempt.attempt_time = request.axes_attempt_time
            attempt.save()
        numbers = (attempt.failures_since_start, self.get_failures_of_address(request))
        return bool(max(numbers) <= settings.AXES_FAILURE_LIMIT)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kw: Any
    ) -> None:
        """Answer "too many attempts" from the attempt on that reaches the limit."""
        request.axes_locked_out = self.is_locked(request, credentials)
        if request.axes_locked_out:
            logger.warning("%s is locked out", request.axes_ip_address)
            super().user_login_failed(sender, credentials, request, **kw)

    def get_failures(self, request: Any, credentials: Any = None) -> float:
        """Return the attempts to compare with AXES_FAILURE_LIMIT."""
        of_user: float = super().get_failures(request, credentials)
        return max(of_user, self.get_failures_of_address(request))

    def get_failures_of_address(self, request: Any) -> float:
        """Lock out an address that tries a few passwords on each of many users."""
        attempts = AccessAttempt.objects.filter(
            ip_address=request.axes_ip_address,
            attempt_time__gte=get_cool_off_threshold(request),
        ).exclude(ip_address=UNKNOWN)
        total = attempts.aggregate(total=Sum("failures_since_start"))["total"]
        return (total or 0) / USERS_PER_ADDRESS
