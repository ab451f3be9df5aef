"""Settings of django-allauth: the pages below /accounts/.

https://docs.allauth.org/en/latest/account/configuration.html
"""

from typing import Any

from config.env import env

LOGIN_URL = "account_login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]

# Who may sign up and log in

ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_SIGNUP_ENABLED = env.bool("DJANGO_ACCOUNT_SIGNUP_OPEN", default=False)
# %if cookiecutter.login == "email"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# %else
# Not by e-mail address too: each way costs a hash, and the time would tell an account.
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
# %endif
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# %if cookiecutter.api != "none"
USERSESSIONS_ADAPTER = "apps.api.sessions.SessionsAdapter"
# %endif
# As long as SESSION_COOKIE_AGE says, without a question.
ACCOUNT_SESSION_REMEMBER = True

# Guesses are counted by django-axes in the database. django-allauth counts in the cache:
# while that is down, its limits refuse everybody after a second. They stay for pages
# that send mails or make accounts; the others would close log-in and admin.
ACCOUNT_RATE_LIMITS = dict.fromkeys(
    ("login", "login_failed", "reauthenticate", "change_password")
)
# Nobody can guess a passkey.
MFA_RATE_LIMITS = {"webauthn_login": None}
ACCOUNT_FORMS = {
    "signup": "apps.accounts.forms.SignupForm",
    "reset_password": "apps.accounts.forms.ResetPasswordForm",
    "change_password": "apps.accounts.forms.ChangePasswordForm",
}
MFA_FORMS = {
    "authenticate": "apps.accounts.forms.AuthenticateForm",
    "reauthenticate": "apps.accounts.forms.ReauthenticateForm",
    "add_webauthn": "apps.accounts.forms.AddWebAuthnForm",
    "authenticate_webauthn": "apps.accounts.forms.AuthenticateWebAuthnForm",
    "login_webauthn": "apps.accounts.forms.LoginWebAuthnForm",
    "reauthenticate_webauthn": "apps.accounts.forms.ReauthenticateWebAuthnForm",
}

# Second factors, and passkeys instead of a password

MFA_ADAPTER = "apps.accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# The code before and after too: a clock may be half a minute off (RFC 6238, 5.2).
MFA_TOTP_TOLERANCE = 1
# Nobody logs in before the first address is confirmed; this is about a further one.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Staff need one for the admin.
ADMIN_REQUIRE_MFA = env.bool("DJANGO_ADMIN_REQUIRE_MFA", default=True)

# %if cookiecutter.database == "mysql"
# MySQL has no unique constraints with conditions; django-allauth looks itself.
SILENCED_SYSTEM_CHECKS = ["models.W036"]

# %endif
# Log-in by somebody else's accounts (docs/operations.md)

SOCIALACCOUNT_ADAPTER = "apps.accounts.adapters.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {}
OPENID_CONNECT_ISSUER = env.address(
    "OPENID_CONNECT_ISSUER", "https", "http", default=""
)
if OPENID_CONNECT_ISSUER:
    app = {
        "provider_id": "sso",
        "name": "Single sign-on",
        "client_id": env.str("OPENID_CONNECT_CLIENT_ID"),
        "secret": env.str("OPENID_CONNECT_CLIENT_SECRET"),
        "settings": {"server_url": OPENID_CONNECT_ISSUER.rstrip("/")},
    }
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {"APPS": [app]}
