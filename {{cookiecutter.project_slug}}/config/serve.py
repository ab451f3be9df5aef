"""Start the server: `python -m config.serve`.

`gunicorn` alone starts the same server, but it reads some variables before its
configuration file: a malformed one ends in a traceback that shows the value.
"""

import logging.config
import os
import sys
from importlib import import_module
from typing import Any

from core.logs import json_logging


def log_crash(*error: Any) -> None:
    """Log why the server cannot start, in the format of every other line."""
    logging.getLogger("server").critical("The server cannot start", exc_info=error)


if __name__ == "__main__":
    logging.config.dictConfig(json_logging("INFO"))
    sys.excepthook = log_crash

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    # %if cookiecutter.metrics == "prometheus"
    import_module("config.metrics_server")
    # %endif
    # %if cookiecutter.interface == "wsgi"
    import_module("config.wsgi")
    # %else
    import_module("config.asgi")
    # %endif

    # Only now: Gunicorn reads the environment when it is imported.
    from gunicorn.app.wsgiapp import run

    run()
