"""The project's URLs. The health endpoints are answered earlier, by apps.health.middleware."""

from django.conf import settings
from django.contrib import admin
from django.urls import path

from apps.pages import views

admin.site.site_header = admin.site.site_title = settings.PROJECT_NAME

handler500 = "apps.pages.views.server_error"

urlpatterns = [
    path("", views.home, name="home"),
    path("robots.txt", views.robots),
    path("favicon.ico", views.favicon),
    path(".well-known/security.txt", views.security_txt),
    path(settings.ADMIN_URL, admin.site.urls),
]

if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls
    from django.conf.urls.static import static

    urlpatterns += [*static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT), *debug_toolbar_urls()]
