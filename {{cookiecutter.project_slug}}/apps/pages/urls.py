"""The URLs of the pages."""

from django.urls import path

from apps.pages import views

urlpatterns = [
    path("", views.home, name="home"),
    path(".well-known/security.txt", views.security_txt),
]
