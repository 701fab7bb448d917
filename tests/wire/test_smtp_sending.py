"""A message through a server that behaves: envelope, octets, needs, logins, protection, several in a session."""

from __future__ import annotations

import pytest

from provider.account import Account, Login, Security
from provider.errors import InvalidRequest
from provider.transport.base import Ended
from provider.transport.smtp import smtp_transport
from store.mail import AccountId
from tests.servers.certs import CertificateShop
from tests.servers.doorstep import SECRET, Supplier
from tests.servers.fakesmtp import FakeSmtp, Manners
from tests.wire.smtp_rig import MESSAGE, TO, Watching, letter, opened, sent


def test_a_message_arrives_octet_for_octet_with_its_envelope() -> None:
    watch = Watching()
    with FakeSmtp() as server:
        delivery = sent(server.port, letter(eight_bit=True), watch)
    assert delivery.ended is Ended.ANSWERED
    assert delivery.accepted == set(TO)
    assert (delivery.later, delivery.refused, delivery.broken) == ((), (), False)
    (one,) = server.delivered
    assert (one.sender, one.recipients, one.octets) == ("a@example.org", TO, MESSAGE)
    assert one.options == (f"SIZE={len(MESSAGE)}", "BODY=8BITMIME")
    assert one.user == "somebody"
    assert (watch.told[-1], watch.ends) == (len(MESSAGE), 1)


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS], ids=lambda security: security.value)
def test_a_message_goes_through_tls(security: Security, certs: CertificateShop) -> None:
    context = certs.good().server_context()
    with FakeSmtp(tls=context, implicit_tls=security is Security.TLS) as server:
        delivery = sent(server.port, host="localhost", security=security, ca_file=certs.authority)
    assert delivery.accepted == set(TO)
    assert [one.secure for one in server.delivered] == [True]
    before_tls = server.commands[: server.commands.index(b"STARTTLS") + 1] if security is Security.STARTTLS else []
    assert [command.split()[0] for command in before_tls] == ([b"EHLO", b"STARTTLS"] if before_tls else [])


@pytest.mark.parametrize("login", Login, ids=lambda login: login.value)
def test_every_login_lets_us_in(login: Login) -> None:
    with FakeSmtp() as server:
        assert sent(server.port, login=login).accepted == set(TO)
    assert [one.user for one in server.delivered] == ["somebody"]


def test_several_messages_share_a_session_and_quit_ends_it() -> None:
    with FakeSmtp() as server:
        with opened(server.port) as session:
            for number in range(3):
                assert session.send(letter(b"Subject: %d\r\n\r\nx\r\n" % number), Watching()).accepted
        assert [one.octets[9:10] for one in server.delivered] == [b"0", b"1", b"2"]
    assert server.connections == 1
    assert server.commands[-1] == b"QUIT"


def test_where_pipelining_is_announced_the_envelope_is_one_flight() -> None:
    from tests.servers.relay import Relay

    with FakeSmtp() as server, Relay(server.port) as relay, opened(relay.port) as session:
        before = relay.counts.flights
        session.send(letter(MESSAGE, *(f"r{number}@example.org" for number in range(30))), Watching())
        assert relay.counts.flights - before == 3  # the envelope, DATA, the message


def test_a_message_without_an_end_of_line_gets_one() -> None:
    with FakeSmtp() as server:
        sent(server.port, letter(b"Subject: s\r\n\r\nno end"))
    assert server.delivered[0].octets == b"Subject: s\r\n\r\nno end\r\n"


def test_dots_are_doubled_wherever_the_pieces_end() -> None:
    with FakeSmtp() as server, opened(server.port) as session:
        for cut in range(1, len(MESSAGE)):
            pieces = [MESSAGE[:cut], MESSAGE[cut:]]
            assert session.send(letter(pieces, size=len(MESSAGE)), Watching()).accepted
    assert {one.octets for one in server.delivered} == {MESSAGE}


def test_an_empty_sender_is_the_null_path() -> None:
    with FakeSmtp() as server:
        assert sent(server.port, letter(sender="")).accepted
    assert any(command.startswith(b"MAIL FROM:<>") for command in server.commands)


def test_utf8_addresses_are_announced() -> None:
    with FakeSmtp() as server:
        assert sent(server.port, letter(MESSAGE, "pelé@example.org", utf8=True)).accepted == {"pelé@example.org"}
    assert server.delivered[0].recipients == ("pelé@example.org",)
    assert "SMTPUTF8" in server.delivered[0].options


def test_without_a_login_none_is_sent() -> None:
    with FakeSmtp() as server:
        assert sent(server.port, authenticate=False).accepted
    assert not any(command.startswith(b"AUTH") for command in server.commands)


def test_a_refused_token_is_asked_for_once_more() -> None:
    supplier = Supplier("an-old-and-expired-token", SECRET)
    with FakeSmtp() as server:
        assert sent(server.port, login=Login.XOAUTH2, credentials=supplier).accepted
    assert supplier.asked == [False, True]


def test_an_account_without_a_way_out_has_no_transport() -> None:
    with pytest.raises(InvalidRequest, match="no way out"):
        smtp_transport(Account(id=AccountId("in"), kind="memory"))


@pytest.mark.parametrize("extensions", [(), (b"SIZE",), (b"SIZE 0",)], ids=["none", "size unknown", "size 0"])
def test_a_poor_server_gets_plain_commands_one_by_one(extensions: tuple[bytes, ...]) -> None:
    with FakeSmtp(Manners(extensions=extensions)) as server:
        assert sent(server.port).accepted == set(TO)
    assert server.delivered[0].octets == MESSAGE
