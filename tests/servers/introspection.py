"""A token introspection server (RFC 7662) for Dovecot's `passdb oauth2`: knows good tokens, denies the rest.

Room: tests/servers. Standard library only, loopback, free port.
"""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from types import TracebackType

__all__ = ["IntrospectionServer"]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        fields = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        token = fields.get("token", [""])[0]
        user = self.server.tokens.get(token)
        answer = {"active": True, "username": user} if user else {"active": False}
        octets = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request line would bring a token into the test output."""


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tokens: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tokens = tokens


class IntrospectionServer:
    """`tokens` maps a good token to its user; change it at will, an expired token is one taken out."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self._listener = _Listener(self.tokens)
        self._thread = threading.Thread(target=self._listener.serve_forever, name="introspection", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}/introspect"

    def start(self) -> IntrospectionServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join(5)

    def __enter__(self) -> IntrospectionServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
