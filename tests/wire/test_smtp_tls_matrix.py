"""T21 for SMTP: the same sixteen ways as for IMAP, refused before the supplier was asked, with the same kinds."""

import pytest

from provider.account import Security
from provider.errors import ErrorKind, TlsRefused
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import SECRET, Doorstep, Supplier, Visitor
from tests.wire.smtp_rig import opened
from tests.wire.tls_cases import MATRIX, spoil


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS], ids=lambda security: security.value)
@pytest.mark.parametrize("name", MATRIX)
def test_a_bad_connection_is_refused_before_any_secret(name: str, security: Security, certs: CertificateShop) -> None:
    case, supplier = MATRIX[name], Supplier()

    def serve(visitor: Visitor) -> None:
        if security is Security.STARTTLS:
            visitor.say(b"220 mail ESMTP\r\n")
            for answer in (b"250-mail\r\n250 STARTTLS\r\n", b"220 begin\r\n"):
                visitor.hear()
                visitor.say(answer)
        if spoil(case, certs, visitor):
            visitor.say(b"220 mail ESMTP\r\n")
            visitor.obey(b"250-mail\r\n250 AUTH PLAIN\r\n", b"235 in\r\n")

    with (
        Doorstep(serve) as server,
        pytest.raises(TlsRefused) as caught,
        opened(server.port, host=case.host, security=security, credentials=supplier, ca_file=certs.authority),
    ):
        pass
    assert caught.value.kind is case.kind, str(caught.value)
    assert caught.value.needs is case.needs
    assert supplier.asked == []
    assert SECRET.encode() not in server.heard
    words = [line.split(b" ")[0] for line in bytes(server.heard).split(b"\r\n")[:-1]]
    assert words == ([b"EHLO", b"STARTTLS"] if security is Security.STARTTLS else [])


@pytest.mark.parametrize("host", ["mail.example.org", "192.0.2.1", "localhost.example.org", "127.0.0.1.example.org"])
def test_plain_text_is_for_loopback_only(host: str) -> None:
    supplier = Supplier()
    with pytest.raises(TlsRefused) as caught, opened(1, host=host, credentials=supplier):
        pass
    assert caught.value.kind is ErrorKind.PLAINTEXT_REFUSED
    assert supplier.asked == []
