"""T21 for IMAP: sixteen ways in which a protected connection is not one, by implicit TLS and after STARTTLS.

Each is refused before the supplier was even asked for a secret, with a kind that tells a person what helps.
"""

import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from provider.account import Account, Security
from provider.cancel import Stop
from provider.errors import ErrorKind, InvalidRequest, Needs, TlsRefused
from provider.sources.imap.connect import open_door
from store.mail import AccountId
from tests.servers.certs import BadCertificate, CertificateShop
from tests.servers.doorstep import CAPABILITIES, GREETING, SECRET, Doorstep, Silent, Supplier, Visitor

ContextMaker = Callable[[CertificateShop], ssl.SSLContext]


@dataclass(frozen=True)
class Case:
    """One row: how the server handshakes, which host was asked for, and how it must be called."""

    kind: ErrorKind
    context: ContextMaker | None
    """None: the server does not handshake at all, and *instead* happens."""
    host: str = "localhost"
    instead: bytes = b""
    needs: Needs = Needs.USER


def bad(kind: BadCertificate) -> ContextMaker:
    return lambda shop: shop.bad(kind).server_context()


def only(version: ssl.TLSVersion) -> ContextMaker:
    def make(shop: CertificateShop) -> ssl.SSLContext:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
            return shop.good().server_context(minimum=version, maximum=version)

    return make


def weak_ciphers(shop: CertificateShop) -> ssl.SSLContext:
    return shop.good().server_context(maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-SHA")


MATRIX = {
    "expired": Case(ErrorKind.TLS_CERTIFICATE_EXPIRED, bad(BadCertificate.EXPIRED)),
    "not yet valid": Case(ErrorKind.TLS_CERTIFICATE_NOT_YET_VALID, bad(BadCertificate.NOT_YET_VALID)),
    "wrong name": Case(ErrorKind.TLS_CERTIFICATE_NAME, bad(BadCertificate.WRONG_NAME)),
    "self-signed": Case(ErrorKind.TLS_CERTIFICATE_SELF_SIGNED, bad(BadCertificate.SELF_SIGNED)),
    "unknown authority": Case(ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER, bad(BadCertificate.UNKNOWN_CA)),
    "missing intermediate": Case(ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER, bad(BadCertificate.MISSING_INTERMEDIATE)),
    "weak key": Case(ErrorKind.TLS_CERTIFICATE_WEAK, bad(BadCertificate.WEAK_KEY)),
    "SHA-1": Case(ErrorKind.TLS_CERTIFICATE_WEAK, bad(BadCertificate.SHA1)),
    "wildcard misuse": Case(ErrorKind.TLS_CERTIFICATE_NAME, bad(BadCertificate.WILDCARD_MISUSE)),
    "IP without SAN": Case(ErrorKind.TLS_CERTIFICATE_NAME, bad(BadCertificate.IP_WITHOUT_SAN), host="127.0.0.1"),
    "name with NUL": Case(ErrorKind.TLS_CERTIFICATE_NAME, bad(BadCertificate.NUL_IN_NAME)),
    "TLS 1.0": Case(ErrorKind.TLS_VERSION, only(ssl.TLSVersion.TLSv1)),
    "TLS 1.1": Case(ErrorKind.TLS_VERSION, only(ssl.TLSVersion.TLSv1_1)),
    "no common cipher": Case(ErrorKind.TLS_HANDSHAKE, weak_ciphers),
    "closed in the handshake": Case(ErrorKind.TLS_HANDSHAKE, None, needs=Needs.RECONNECT),
    "plain text": Case(ErrorKind.TLS_NOT_SPOKEN, None, instead=b"* OK IMAP4rev1 ready\r\n"),
}


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS], ids=lambda security: security.value)
@pytest.mark.parametrize("name", MATRIX)
def test_a_bad_connection_is_refused_before_any_secret(name: str, security: Security, certs: CertificateShop) -> None:
    case = MATRIX[name]
    context = None if case.context is None else case.context(certs)

    def serve(visitor: Visitor) -> None:
        if security is Security.STARTTLS:
            visitor.say(GREETING)
            visitor.hear()
            visitor.say(b"@ OK begin\r\n")
        if context is None:
            visitor.sock.recv(1)  # the client's handshake has begun
            visitor.say(case.instead)
            if case.instead:
                visitor.wait_for_end()
            return
        visitor.start_tls(context)
        visitor.obey(CAPABILITIES + b"@ OK\r\n", b"@ OK in\r\n")

    supplier = Supplier()
    with Doorstep(serve) as server:
        account = Account(
            id=AccountId("matrix"),
            host=case.host,
            port=server.port,
            security=security,
            user="somebody",
            credentials=supplier,
            ca_file=certs.authority,
        )
        with pytest.raises(TlsRefused) as caught:
            open_door(account, Stop(), Silent())
    assert caught.value.kind is case.kind, str(caught.value)
    assert caught.value.needs is case.needs
    assert supplier.asked == []
    assert SECRET.encode() not in server.heard
    assert server.heard.count(b"\r\n") == (1 if security is Security.STARTTLS else 0), bytes(server.heard)


def test_the_matrix_has_its_sixteen_cases() -> None:
    assert len(MATRIX) == 16


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST"])
def test_a_good_connection_is_taken(host: str, version: ssl.TLSVersion, certs: CertificateShop) -> None:
    context = certs.good().server_context(minimum=version, maximum=version)

    def serve(visitor: Visitor) -> None:
        visitor.start_tls(context)
        visitor.say(GREETING)
        visitor.obey(b"@ OK [CAPABILITY IMAP4rev1] in\r\n")

    with Doorstep(serve) as server:
        account = Account(
            id=AccountId("good"),
            host=host,
            port=server.port,
            user="somebody",
            credentials=Supplier(),
            ca_file=certs.authority,
        )
        door = open_door(account, Stop(), Silent())
        assert door.channel.secure
        door.channel.close()


def test_without_the_ca_file_a_private_authority_is_unknown(certs: CertificateShop) -> None:
    context = certs.good().server_context()

    with Doorstep(lambda visitor: visitor.start_tls(context)) as server:
        account = Account(id=AccountId("a"), host="localhost", port=server.port, user="u", credentials=Supplier())
        with pytest.raises(TlsRefused) as caught:
            open_door(account, Stop(), Silent())
    assert caught.value.kind is ErrorKind.TLS_CERTIFICATE_UNKNOWN_ISSUER


def test_a_common_name_alone_names_no_host(certs: CertificateShop) -> None:
    """RFC 9525 §2; OpenSSL looks at it where a certificate has no DNS name."""
    nameless = certs._leaf("common-name-only", issuer=certs._root, names="email:postmaster@example.org")
    context = nameless.server_context()
    with Doorstep(lambda visitor: visitor.start_tls(context)) as server:
        account = Account(
            id=AccountId("a"),
            host="localhost",
            port=server.port,
            user="u",
            credentials=Supplier(),
            ca_file=certs.authority,
        )
        with pytest.raises(TlsRefused) as caught:
            open_door(account, Stop(), Silent())
    assert caught.value.kind is ErrorKind.TLS_CERTIFICATE_NAME


@pytest.mark.parametrize("content", [None, b"no certificate\n"], ids=["missing", "not PEM"])
def test_a_ca_file_that_cannot_be_read_is_a_bad_request(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    account = Account(id=AccountId("a"), host="localhost", port=1, user="u", ca_file=path)
    with pytest.raises(InvalidRequest, match="ca_file"):
        open_door(account, Stop(), Silent())
