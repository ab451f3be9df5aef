"""The API's operations."""

from typing import cast

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, permission_classes
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.docs import entry_points, render_docs
from apps.api.serializers import MeSerializer, ProblemSerializer
from apps.users.models import User

PROBLEMS = {401: ProblemSerializer, 429: ProblemSerializer}


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([AllowAny])
def index(request: Request) -> Response:
    return Response(entry_points(request))


@extend_schema(exclude=True)
@api_view(["GET"])
@permission_classes([AllowAny])
def docs(request: Request) -> HttpResponse:
    return render_docs(request)


@method_decorator(never_cache, name="dispatch")
@extend_schema(tags=["users"], responses={200: MeSerializer, **PROBLEMS})
class MeView(RetrieveUpdateAPIView[User]):
    """The person who asks."""

    http_method_names = ["get", "head", "options", "patch"]
    serializer_class = MeSerializer

    def get_object(self) -> User:
        return cast("User", self.request.user)
