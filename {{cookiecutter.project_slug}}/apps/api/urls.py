"""The API's URLs. Each version has its own prefix and does not change for clients."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.cache import never_cache
from rest_framework.permissions import AllowAny
from rest_framework.routers import APIRootView

from apps.api.views import DocsView, MeView, schema

app_name = "api"
entry_points = {"docs": "docs", "schema": "schema", "v1/users/me": "me"}
index = APIRootView.as_view(api_root_dict=entry_points, permission_classes=[AllowAny])

version_1: list[URLPattern | URLResolver] = [
    path("users/me/", never_cache(MeView.as_view()), name="me"),
    # just app NAME adds: path("NAME/", include("apps.NAME.viewsets")),
]
urlpatterns = [
    path("", index),
    path("docs/", DocsView.as_view(), name="docs"),
    path("schema/", schema, name="schema"),
    path("v1/", include(version_1)),
]
