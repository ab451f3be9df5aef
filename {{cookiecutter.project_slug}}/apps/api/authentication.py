"""Bearer tokens, checked against their digests."""

from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from apps.api.models import AccessToken, hash_token
from apps.users.models import User


class BearerAuthentication(TokenAuthentication):
    """``Authorization: Bearer TOKEN`` (RFC 6750).

    It stands first in the settings: a refusal is then a 401 and says how to log in.
    """

    keyword = "Bearer"

    def authenticate_credentials(self, key: str) -> tuple[User, AccessToken]:
        tokens = AccessToken.objects.select_related("user")
        token = tokens.filter(digest=hash_token(key)).first()
        if token is None or not token.is_valid():
            raise AuthenticationFailed("Invalid token.")
        return token.user, token
