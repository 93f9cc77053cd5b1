"""A tiny HTTP server that answers every POST as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedServer:
    """`with ScriptedServer(body=b"[]") as server:` answers on a port that the system chose.

    Arguments:
        body: or what gives it for a path.
        pieces: instead of `body`, sent one by one with `pause` seconds between.
        headers: besides or instead of `Content-Type: application/json`.
    """

    def __init__(
        self,
        body: bytes | Callable[[str], bytes] = b"",
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        pieces: Iterable[bytes] | None = None,
        pause: float = 0.0,
    ) -> None:
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.requests.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    whole = body(self.path) if callable(body) else body
                    for piece in [whole] if pieces is None else pieces:
                        self.wfile.write(piece)
                        time.sleep(pause)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Closing does not wait for an answer that drips.
        self._server.block_on_close = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
