"""uvicorn as a worker of Gunicorn, which starts it, and replaces it if it hangs.

https://github.com/Kludex/uvicorn-worker
"""

import signal
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """Leave the access line and the proxy's headers to the project's middleware."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        # httptools loses the body of a request that asks for an upgrade to HTTP/2.
        "http": "h11",
        "ws": "none",
        "lifespan": "off",
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
    }

    def init_signals(self) -> None:
        """End in order: uvicorn ends by sending itself the signal once more."""
        super().init_signals()
        signal.signal(signal.SIGTERM, self.handle_quit)
