"""A page behind a feature flag: an example, to change or to delete.

https://waffle.readthedocs.io/
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from waffle.decorators import waffle_flag


@require_safe
@waffle_flag("preview")
def preview(request: HttpRequest) -> HttpResponse:
    """Show what is not for everybody yet; without the flag it is not found."""
    return render(request, "preview.html")
