"""A token server, because Google's and Azure's libraries ask for a token first."""

import base64
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

from tests.services.process import HOST, free_port

LIFETIME_S = 3600
OBJECT = TENANT = "11111111-1111-1111-1111-111111111111"


class TokenServer:
    """Tokens for service accounts at Google (POST) and identities at Azure (GET)."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}/token"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, self.port), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.give()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.give()

    def give(self) -> None:
        token = {
            "access_token": make_token(),
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
        }
        token["expires_on"] = str(int(time.time()) + LIFETIME_S)
        body = json.dumps(token).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def make_token() -> str:
    """Return a token for Azure's storage, with an invalid signature."""
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{TENANT}/",
        "oid": OBJECT,
        "tid": TENANT,
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + LIFETIME_S,
    }
    header = {"alg": "HS256", "typ": "JWT"}
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), b"unsigned"]
    encoded = (base64.urlsafe_b64encode(part).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in encoded)
