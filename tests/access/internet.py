"""A small internet on the loopback: web and mail servers with real TLS and the names they are to have, and a resolver.

Room: tests/access. Names lead to it as long as a test lasts; nothing else of the network is reached.
"""

import http.server
import socket
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from provider.access.autoconfig import Search, TlsGreeting, find_servers
from provider.access.names import Service
from provider.access.web import HttpClient
from provider.errors import Unreachable

from ..servers.certs import Certificate, CertificateShop

__all__ = ["HANG_SECONDS", "Internet", "Resolver"]

HANG_SECONDS = 5.0


class Resolver:
    """A resolver that behaves: it knows the records it was given, and remembers what it was asked."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[Service, ...]] = {}
        self.mx: dict[str, tuple[str, ...]] = {}
        self.away = False
        self.asked: list[str] = []

    def services(self, name: str) -> tuple[Service, ...]:
        self.asked.append(name)
        if self.away:
            raise Unreachable("No name server answers.")
        return self.records.get(name, ())

    def mail_hosts(self, domain: str) -> tuple[str, ...]:
        self.asked.append(domain)
        if self.away:
            raise Unreachable("No name server answers.")
        return self.mx.get(domain, ())


class Internet:
    """Hosts with real TLS on the loopback; names lead there as long as a test lasts."""

    def __init__(self, certs: CertificateShop, running: ExitStack, patch: pytest.MonkeyPatch) -> None:
        self.certs, self.names = certs, Resolver()
        self.pages: dict[tuple[str, str], bytes | str | int] = {}
        """(host, path with query) to a file, a redirect's target, or a status."""
        self.requests: list[str] = []
        """Host and path of each request, in order."""
        self.held = threading.Event()
        """Requests to hosts in `slow` wait for it."""
        self.slow: set[str] = set()
        self._running = running
        self._places: dict[tuple[str, int], int] = {}
        self._connect = socket.create_connection
        patch.setattr(socket, "create_connection", self._to_loopback)
        running.callback(self.held.set)

    def _to_loopback(self, address: tuple[str, int], *more: Any, **named: Any) -> socket.socket:
        port = self._places.get(address)
        if port is None:
            raise ConnectionRefusedError(address)
        return self._connect(("127.0.0.1", port), *more, **named)

    def web(self, host: str, pages: dict[str, bytes | str | int], certificate: Certificate | None = None) -> None:
        """Let *host* answer over HTTPS."""
        self.pages |= {(host, path): page for path, page in pages.items()}
        internet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                internet.requests.append(f"{host}{self.path}")
                if host in internet.slow:
                    internet.held.wait(HANG_SECONDS)
                page = internet.pages.get((host, self.path), 404)
                self.send_response(page if isinstance(page, int) else 302 if isinstance(page, str) else 200)
                if isinstance(page, str):
                    self.send_header("Location", page)
                self.end_headers()
                if isinstance(page, bytes):
                    self.wfile.write(page)

            def log_message(self, format: str, *args: object) -> None: ...

        self._serve(host, 443, Handler, certificate)

    def mail(self, host: str, port: int, greeting: bytes, certificate: Certificate | None = None) -> None:
        """Let a mail server greet at *host*."""

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle(self) -> None:
                self.wfile.write(greeting)

        self._serve(host, port, Handler, certificate)

    def _serve(self, host: str, port: int, handler: type, certificate: Certificate | None) -> None:
        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None: ...

        server = Quiet(("127.0.0.1", 0), handler)
        context = (certificate or self.certs.named(host)).server_context()
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self._running.callback(server.server_close)
        self._running.callback(server.shutdown)
        self._places[host, port] = server.server_address[1]

    def find(self, address: str = "jo@example.org", *, stage_seconds: float = HANG_SECONDS) -> Search:
        authority = self.certs.authority
        return find_servers(
            address,
            http=HttpClient(authority),
            names=self.names,
            greets=TlsGreeting(authority, seconds=HANG_SECONDS),
            stage_seconds=stage_seconds,
        )
