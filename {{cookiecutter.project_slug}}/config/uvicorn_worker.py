"""uvicorn as a worker of Gunicorn, which starts it, notices when it hangs, and replaces it.

https://github.com/Kludex/uvicorn-worker
"""

import logging
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """Leaves the access line, the proxies' headers and the log's format to the project."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The base class cuts uvicorn's logger off from the root, where the handler is.
        logging.getLogger("uvicorn.error").propagate = True
        # Ends before Gunicorn loses patience, so that the lifespan's shutdown always runs.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 2)
