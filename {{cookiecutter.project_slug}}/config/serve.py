"""Starts uvicorn: `python -m config.serve`.

https://www.uvicorn.org/settings/
"""

import os

import uvicorn
from django.conf import settings

from config import server


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")
    uvicorn.run(
        "config.asgi:application",
        host=server.HOST,
        port=server.PORT,
        workers=server.WORKERS,
        # Loads the settings here, in the parent: a problem with the environment is told before anything starts.
        log_config=settings.LOGGING,
        # The access line and the client's address come from the project's own middleware.
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=server.KEEP_ALIVE_S,
        timeout_graceful_shutdown=server.GRACEFUL_TIMEOUT_S,
        limit_max_requests=server.MAX_REQUESTS,
        limit_max_requests_jitter=server.MAX_REQUESTS_JITTER,
    )


if __name__ == "__main__":
    main()
