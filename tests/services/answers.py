"""What the HTTP handlers of the tests share."""

from typing import Any


class Answers:
    """Lets a `BaseHTTPRequestHandler` answer with bytes, and print no line for it."""

    def answer(self: Any, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests readable."""
