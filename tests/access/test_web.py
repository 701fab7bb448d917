"""The HTTP client of this room: whom it trusts, what it reads, what it never tells."""

import http.server
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from provider.access.web import HttpClient
from provider.errors import ErrorKind, InvalidRequest, LimitExceeded, ProviderError, TimedOut, TlsRefused, Unreachable

from ..secret_hunt import SecretHunt
from ..servers.certs import BadCertificate, Certificate, CertificateShop

Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(octets, certificate)`: a port that answers each request with *octets*."""
    with ExitStack() as running:

        def start(octets: bytes, certificate: Certificate | None = None, *, slices: int = 0) -> int:
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.rfile.read(int(self.headers.get("Content-Length", "0")))
                    for at in range(0, len(octets), slices or len(octets) or 1):
                        try:
                            self.wfile.write(octets[at : at + (slices or len(octets))])
                        except OSError:
                            return
                    self.close_connection = True

                do_POST = do_GET

                def log_message(self, format: str, *args: object) -> None: ...

            class Quiet(http.server.ThreadingHTTPServer):
                daemon_threads = True

                def handle_error(self, request: object, client_address: object) -> None: ...

            server = Quiet(("127.0.0.1", 0), Handler)
            if certificate is not None:
                server.socket = certificate.server_context().wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False
                )
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            running.callback(server.server_close)
            running.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.0 {status}\r\n".encode() + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body


def test_an_answer_comes_with_its_status_and_what_matters_of_its_fields(serve: Serve, certs: CertificateShop) -> None:
    port = serve(answer(b"hello", "Location: /x", "Retry-After: 17", status="302 Found"), certs.good())

    got = HttpClient(certs.authority)(f"https://localhost:{port}/")

    assert (got.status, got.body, got.location, got.retry_after_seconds) == (302, b"hello", "/x", 17.0)


@pytest.mark.parametrize(
    ("kind", "told_as"),
    [
        (BadCertificate.EXPIRED, ErrorKind.TLS_CERTIFICATE_EXPIRED),
        (BadCertificate.WRONG_NAME, ErrorKind.TLS_CERTIFICATE_NAME),
        (BadCertificate.UNKNOWN_CA, ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER),
        (BadCertificate.WEAK_KEY, ErrorKind.TLS_CERTIFICATE_WEAK),
    ],
)
def test_a_server_that_cannot_prove_its_name_gets_nothing(
    serve: Serve, certs: CertificateShop, kind: BadCertificate, told_as: ErrorKind
) -> None:
    port = serve(answer(b"hello"), certs.bad(kind))

    with pytest.raises(TlsRefused) as told:
        HttpClient(certs.authority)(f"https://localhost:{port}/", {"refresh_token": "x"})
    assert told.value.kind is told_as


def test_no_switch_of_the_environment_makes_a_stranger_trusted(
    serve: Serve, certs: CertificateShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    port = serve(answer(b"hello"), certs.good())

    assert HttpClient(certs.authority)(f"https://localhost:{port}/").status == 200
    with pytest.raises(TlsRefused):
        HttpClient()(f"https://localhost:{port}/")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(serve: Serve, certs: CertificateShop) -> None:
    context = certs.good().server_context(maximum=ssl.TLSVersion.TLSv1_1, minimum=ssl.TLSVersion.TLSv1)
    listener = socket.create_server(("127.0.0.1", 0))

    def shake() -> None:
        sock, _ = listener.accept()
        with sock, pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_side=True)

    thread = threading.Thread(target=shake)
    thread.start()
    with listener, pytest.raises(TlsRefused):
        HttpClient(certs.authority)(f"https://localhost:{listener.getsockname()[1]}/")
    thread.join(5)


def test_an_answer_without_end_is_cut_off(serve: Serve) -> None:
    port = serve(answer(b"x" * 100_000))

    with pytest.raises(LimitExceeded):
        HttpClient()(f"http://127.0.0.1:{port}/", octets_max=50_000)


def test_an_answer_that_dribbles_has_a_total_deadline(serve: Serve) -> None:
    port = serve(answer(b"x" * 20_000), slices=1)

    with pytest.raises(TimedOut):
        HttpClient()(f"http://127.0.0.1:{port}/", seconds=0.000001)


def test_a_header_that_drips_has_the_same_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        given_up = threading.Event()

        def drip() -> None:
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not given_up.wait(0.02):
                    sock.sendall(b"x")  # each octet comes in time; the answer never does

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with pytest.raises(TimedOut):
            HttpClient()(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.3)
        dripping.join(5)  # nobody reads on
        ended = not dripping.is_alive()
        given_up.set()
    assert ended


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 20", answer(b"abc", "Content-Length: 9"), b"\x00" * 50])
def test_an_answer_that_breaks_off_is_an_error_that_passes(serve: Serve, octets: bytes) -> None:
    with pytest.raises(Unreachable) as told:
        HttpClient()(f"http://127.0.0.1:{serve(octets)}/")
    assert told.value.retryable


def test_a_port_where_nobody_listens_is_an_error_that_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(Unreachable) as told:
        HttpClient()(f"http://127.0.0.1:{port}/")
    assert told.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.example.org/",
        "https://a..b/",
        "https://xn--/",
        "https://[::1/",
        "https://h/%zz%\\",
        "https://[fe80::1%25eth0]/",
        f"https://127.0.0.1:1/{'x' * 100_000}",
    ],
)
def test_an_address_that_leads_nowhere_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(ProviderError):
        HttpClient()(url, seconds=2)


def test_what_is_asked_is_in_no_log_at_info_and_no_form_in_any(
    serve: Serve, secret_hunt: SecretHunt, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret_hunt.learn("refresh-token-in-a-form")
    port = serve(answer(b"{}"))

    HttpClient()(f"http://127.0.0.1:{port}/?emailaddress=jo@example.org", {"refresh_token": "refresh-token-in-a-form"})

    assert not [record for record in caplog.records if record.levelno >= logging.INFO]


def test_plain_text_goes_to_the_loopback_only() -> None:
    with pytest.raises(InvalidRequest, match="without TLS"):
        HttpClient()("http://example.org/")
