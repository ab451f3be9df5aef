"""Who ends the other sessions of an account ends its tokens too."""

from typing import Any

from allauth.usersessions.adapter import DefaultUserSessionsAdapter

from apps.api.models import AccessToken


class SessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions: Any) -> None:
        super().end_sessions(sessions)
        AccessToken.objects.filter(user=self.request.user).delete()
