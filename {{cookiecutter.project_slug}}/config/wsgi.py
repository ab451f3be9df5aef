"""The WSGI application, served by Gunicorn; gunicorn.conf.py says how."""

import os
from importlib import import_module

from django.conf import settings
from django.core.cache import caches
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_wsgi_application()

# A view that cannot be imported ends the start, not the first request. What is
# loaded here, before the fork, is shared by the workers.
import_module(settings.ROOT_URLCONF)
caches.all()
