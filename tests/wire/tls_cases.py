"""The sixteen ways of T21 in which a protected connection is not one: the same for every protocol."""

import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from provider.errors import ErrorKind, Needs
from tests.servers.certs import BadCertificate, CertificateShop
from tests.servers.doorstep import Visitor

__all__ = ["MATRIX", "Case", "spoil"]

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
    "plain text": Case(ErrorKind.TLS_NOT_SPOKEN, None, instead=b"* OK IMAP4rev1 ready\r\n220 mail ESMTP\r\n"),
}


def spoil(case: Case, certs: CertificateShop, visitor: Visitor) -> bool:
    """Play the handshake of *case*; return whether the visitor goes on all the same, which it must not."""
    if case.context is None:
        visitor.sock.recv(1)  # the client's handshake has begun
        visitor.say(case.instead)
        if case.instead:
            visitor.wait_for_end()
        return False
    visitor.start_tls(case.context(certs))
    return True
