"""A server on this machine that gives files, breaks off, or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """``/whole`` gives the content; ``/broken`` half of what was asked for; ``/other`` something else; else 404."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        body = {"/whole": CONTENT, "/broken": CONTENT, "/other": b"not this"}.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(body):
            self.send_error(416)
            return
        body = body[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/broken" else body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[tuple[str, list[str | None]]]:
    """The server's address, and the ranges that it was asked for."""
    handler = type("OwnHandler", (Handler,), {"ranges": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.ranges
    finally:
        server.shutdown()
        server.server_close()
