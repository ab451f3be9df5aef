"""uvicorn as a worker of Gunicorn, which starts it and replaces it when it hangs.

https://github.com/Kludex/uvicorn-worker
"""

# %if cookiecutter.metrics == "opentelemetry"
import signal
# %endif
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker


class Worker(UvicornWorker):
    """Leave the access line and the proxy's headers to the project's middleware."""

    # %if cookiecutter.metrics == "opentelemetry"
    def init_signals(self) -> None:
        """Let worker_exit run: uvicorn ends by sending itself the signal once more."""
        super().init_signals()
        signal.signal(signal.SIGTERM, self.handle_quit)

    # %endif
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
