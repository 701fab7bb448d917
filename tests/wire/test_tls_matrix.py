"""T21 for IMAP: sixteen ways in which a protected connection is not one, by implicit TLS and after STARTTLS.

Each is refused before the supplier was even asked for a secret, with a kind that tells a person what helps.
"""

import ssl
from pathlib import Path

import pytest

from provider.account import Account, Security
from provider.cancel import Stop
from provider.errors import ErrorKind, InvalidRequest, TlsRefused
from provider.sources.imap.connect import open_door
from store.mail import AccountId
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import CAPABILITIES, GREETING, SECRET, Doorstep, Silent, Supplier, Visitor
from tests.wire.tls_cases import MATRIX, spoil


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS], ids=lambda security: security.value)
@pytest.mark.parametrize("name", MATRIX)
def test_a_bad_connection_is_refused_before_any_secret(name: str, security: Security, certs: CertificateShop) -> None:
    case = MATRIX[name]

    def serve(visitor: Visitor) -> None:
        if security is Security.STARTTLS:
            visitor.say(GREETING)
            visitor.hear()
            visitor.say(b"@ OK begin\r\n")
        if spoil(case, certs, visitor):
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
