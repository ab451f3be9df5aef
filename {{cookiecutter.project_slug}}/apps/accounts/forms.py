"""Forms that count guesses, and tell nobody which addresses have an account."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from json import JSONDecoder
from typing import Any

from allauth.account import forms as account
from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.base import forms as mfa
from allauth.mfa.webauthn import forms as webauthn
from axes.backends import AxesStandaloneBackend
from django import forms
from django.contrib.auth.hashers import make_password
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import BadRequest, ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts.guessing import forget_guesses


@contextmanager
def last(seconds: float = 0.2) -> Iterator[None]:
    """Take longer than a hash, a user's rows and a mail: the time must not tell."""
    end = time.monotonic() + seconds
    yield
    time.sleep(max(0, end - time.monotonic()))


class SignupForm(account.SignupForm):
    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> Any:
        """Do as much for an address that is taken as for a new one."""
        if self.account_already_exists:
            with last():
                make_password(self.cleaned_data["password1"])
            return super().try_save(request)
        try:
            # A user without an address would count as one whom staff have entered.
            with last(), transaction.atomic():
                return super().try_save(request)
        except IntegrityError:
            # Somebody else signed up with it at the same moment.
            # %if cookiecutter.login == "email"
            self.account_already_exists = True
            response = super().try_save(request)[1]
            # %else
            from django.contrib import messages
            from django.shortcuts import redirect

            messages.error(request, get_adapter().error_messages["username_taken"])
            response = redirect("account_signup")
            # %endif
            return None, response


class ResetPasswordForm(account.ResetPasswordForm):
    def save(self, request: HttpRequest, **kwargs: Any) -> Any:
        with last():
            return super().save(request, **kwargs)


class ChangePasswordForm(account.ChangePasswordForm):
    def clean_oldpassword(self) -> str:
        """Count a wrong password, as a log-in does."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class CountedCode:
    """Counts a wrong code like a wrong password of the same user."""

    user: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _(  # type: ignore[attr-defined]
            "The code of your app, or one of your recovery codes, each of which works "
            "once. If you have neither, and no security key, ask the people who run this "
            "site."
        )

    def clean_code(self) -> Any:
        request, who = context.request, {"username": self.user.get_username()}
        # It refuses by PermissionDenied; its middleware makes a 429 of that.
        AxesStandaloneBackend().authenticate(request, **who)
        try:
            code = super().clean_code()  # type: ignore[misc]
        except ValidationError:
            user_login_failed.send(type(self), credentials=who, request=request)
            raise
        if request.user.is_authenticated:
            forget_guesses(self.user)
        return code


class AuthenticateForm(CountedCode, mfa.AuthenticateForm):
    """The second step of a log-in."""


class ReauthenticateForm(CountedCode, mfa.ReauthenticateForm):
    """The code before a sensitive change, and before the admin."""


# What fido2 raises besides TypeError, which django-allauth catches.
NO_CREDENTIAL = (AttributeError, LookupError, RecursionError, struct.error, ValueError)


class Credential(forms.Form):
    """Answers 400 to what no browser sends, such as JSON that is too deep."""

    # fido2 takes a number for a length: one of ten digits would fill the memory.
    credential = forms.JSONField(
        widget=forms.HiddenInput,
        decoder=partial(JSONDecoder, parse_int=str),  # type: ignore[arg-type]
    )

    def full_clean(self) -> None:
        try:
            super().full_clean()
        except NO_CREDENTIAL as error:
            raise BadRequest("This is no credential.") from error


class AddWebAuthnForm(Credential, webauthn.AddWebAuthnForm):
    """A new key or passkey."""


class AuthenticateWebAuthnForm(Credential, webauthn.AuthenticateWebAuthnForm):
    """The second step of a log-in."""


class LoginWebAuthnForm(Credential, webauthn.LoginWebAuthnForm):
    """The log-in by a passkey alone."""


class ReauthenticateWebAuthnForm(Credential, webauthn.ReauthenticateWebAuthnForm):
    """The key before a sensitive change, and before the admin."""
