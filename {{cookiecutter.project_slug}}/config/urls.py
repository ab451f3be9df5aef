"""The URLs of the project; core.health answers the probes before them."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

# %if cookiecutter.flags == "waffle"
from apps.pages.flags import preview

# %endif
admin.site.site_header = admin.site.site_title = settings.PROJECT_NAME

# %if cookiecutter.api == "none"
handler400 = "core.bodies.bad_request"
handler500 = "apps.pages.views.server_error"

# %else
handler400 = "apps.api.errors.bad_request"
handler403 = "apps.api.errors.permission_denied"
handler404 = "apps.api.errors.page_not_found"
handler500 = "apps.api.errors.server_error"

# %endif
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.pages.urls")),
    # %if cookiecutter.flags == "waffle"
    path("preview/", preview, name="preview"),
    # %endif
    # just app NAME adds: path("NAME/", include("apps.NAME.urls")),
    # %if cookiecutter.accounts == "allauth"
    path("accounts/", include("allauth.urls")),
    # %endif
    # %if cookiecutter.api == "drf"
    path("api/", include("apps.api.urls")),
    # %endif
    # %if cookiecutter.api == "ninja"
    path("api/", include("apps.api.endpoints")),
    # %endif
    path(settings.ADMIN_URL, admin.site.urls),
]

if len(settings.LANGUAGES) > 1:
    urlpatterns += [path("i18n/", include("django.conf.urls.i18n"))]

if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls
    from django.conf.urls.static import static

    from apps.pages.views import error_page

    # The error pages, as production shows them: /_errors/404/
    urlpatterns += [path("_errors/<int:status>/", error_page)]
    urlpatterns += [path("__reload__/", include("django_browser_reload.urls"))]
    urlpatterns += static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)
    urlpatterns += debug_toolbar_urls()
