"""The URLs of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from apps.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path("logout/", LogoutView.as_view(next_page="home"), name="logout"),
    path(".well-known/security.txt", views.security_txt),
]
