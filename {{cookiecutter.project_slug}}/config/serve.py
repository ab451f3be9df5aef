"""Starts the server: `python -m config.serve`.

`gunicorn` alone starts the same one, but it looks at some of the variables before it looks at its configuration file,
and answers a malformed value with a traceback.
"""

import os
from importlib import import_module

from config import server  # noqa: F401 - its variables belong to the report that the settings make

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    import_module(os.environ["DJANGO_SETTINGS_MODULE"])

    # Only now: Gunicorn reads the environment when it is imported.
    from gunicorn.app.wsgiapp import run

    run()
