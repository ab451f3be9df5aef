"""The API's operations."""

from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import serializers
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.users.models import User

make_schema, making_schema = SpectacularJSONAPIView.as_view(), Lock()


def schema(request: HttpRequest) -> HttpResponse:
    """Serve the schema, made by one thread at a time: others would break it.

    https://github.com/tfranzel/drf-spectacular/issues/1123
    """
    # Each language that a client makes up would stay in memory.
    request.GET = QueryDict()
    with making_schema:
        response: HttpResponse = make_schema(request)
    return response


class DocsView(APIView):
    """Show the schema with Swagger UI."""

    schema = None  # not an operation
    permission_classes = [AllowAny]

    def get(self, request: Request) -> HttpResponse:
        context = {"viewer": "drf_spectacular_sidecar/swagger-ui-dist"}
        return render(request, "api/docs.html", context)


class MeSerializer(serializers.ModelSerializer[User]):
    """Only names are writable: an e-mail address, which resets passwords, is not."""

    class Meta:
        model = User
        read_only_fields = (User.USERNAME_FIELD, User.EMAIL_FIELD, "date_joined")
        fields = (*read_only_fields, "first_name", "last_name")

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        """Save what was sent: the rest may have changed since it was read."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        return instance


class MeView(RetrieveUpdateAPIView[User]):
    """The person who asks."""

    http_method_names = ["get", "head", "options", "patch"]
    serializer_class = MeSerializer

    def get_object(self) -> Any:
        return self.request.user
