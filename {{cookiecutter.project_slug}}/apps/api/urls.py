"""The API's URLs. Each version has its own prefix and does not change for clients."""

from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

from apps.api import views

endpoints = [
    path("", views.index),
    path("docs/", views.docs, name="docs"),
    path("schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("v1/users/me/", views.MeView.as_view(), name="me"),
]

urlpatterns = [path("", include((endpoints, "api")))]
