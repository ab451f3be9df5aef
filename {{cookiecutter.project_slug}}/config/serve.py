"""Starts the server: `python -m config.serve`.

`gunicorn` alone starts the same one, but it looks at some of the variables before it looks at its configuration file,
and answers a malformed value with a traceback.
"""

import logging.config
import os
import sys
from importlib import import_module
from types import TracebackType

from apps.observability.logs import json_logging


def log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """What keeps the server from starting belongs into the log too."""
    logging.getLogger("server").critical("The server cannot start", exc_info=(kind, error, traceback))


if __name__ == "__main__":
    logging.config.dictConfig(json_logging("INFO"))
    sys.excepthook = log_crash

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    # %if cookiecutter.metrics == "prometheus"
    # Before the application, whose counters look for the folder when they are made.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(import_module("config.metrics_server").find_folder())
    # %endif
    # %if cookiecutter.interface == "wsgi"
    import_module("config.wsgi")
    # %else
    import_module("config.asgi")
    # %endif

    # Only now: Gunicorn reads the environment when it is imported.
    from gunicorn.app.wsgiapp import run

    run()
