"""The user who calls the API: read and change the own names."""

from datetime import datetime
from typing import Annotated

from django.views.decorators.cache import never_cache
from ninja import Router, Schema
from ninja.decorators import decorate_view
from pydantic import BaseModel, StringConstraints

from apps.api.security import AuthenticatedRequest
from apps.users.models import User

router = Router(tags=["users"])

# Some databases refuse the character 0 in text.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=150, pattern=r"^[^\x00]*$")
]


class Me(Schema):
    # %if cookiecutter.login == "username"
    username: str
    # %endif
    email: str
    first_name: str
    last_name: str
    date_joined: datetime


class MeUpdate(BaseModel):
    """Only names are writable: an e-mail address, which resets passwords, is not.

    Not a Schema: that takes any JSON value for an object without attributes.
    """

    first_name: Name = ""
    last_name: Name = ""


class Problem(Schema):
    detail: str


@router.get("me/", response={200: Me, 401: Problem, 429: Problem}, url_name="me")
@decorate_view(never_cache)
def read_me(request: AuthenticatedRequest) -> User:
    return request.user


@router.patch("me/", response={200: Me, 401: Problem, 403: Problem, 429: Problem})
@decorate_view(never_cache)
def update_me(request: AuthenticatedRequest, payload: MeUpdate) -> User:
    """Save only the fields that were sent: the others may have changed meanwhile."""
    changes = payload.model_dump(exclude_unset=True)
    for name, value in changes.items():
        setattr(request.user, name, value)
    request.user.save(update_fields=list(changes))
    return request.user
