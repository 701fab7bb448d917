"""Injection: sixty strings in every argument of the session that can reach a command.

Whatever is given, the server sees exactly the commands that were meant, with the very octets as one argument; or the
request is refused before anything is sent. Numbers and sets of UIDs are typed, so the only free strings are folder
names; the server's own capability words, versions and header names never come from outside.
"""

from __future__ import annotations

import re

import pytest

from provider.errors import InvalidRequest, ProviderError, SourceError
from provider.sources.base import Known
from provider.sources.imap.commands import Command, LiteralStyle, String
from store.mail import ModSeq, UidSet, UidValidity
from tests.servers.fake_wire import parse_command, read_command
from tests.servers.fakeimap import BARE, FULL, FakeImap
from tests.servers.injections import INJECTIONS
from tests.wire.rig import session_to

STRINGS = [text.encode("utf-8", "surrogatepass") for text in INJECTIONS]
IDS = [f"{index}-{text[:12]!r}" for index, text in enumerate(INJECTIONS)]
KNOWN = Known(epoch=UidValidity(5), mod_seq=ModSeq(9), uids=UidSet([1]))


def test_there_are_sixty() -> None:
    assert len(STRINGS) >= 60


@pytest.mark.parametrize("known", [None, KNOWN], ids=["first", "again"])
@pytest.mark.parametrize("announced", [FULL, BARE], ids=["full", "bare"])
@pytest.mark.parametrize("name", STRINGS, ids=IDS)
def test_a_folder_name_is_one_argument_of_one_command_or_is_refused(
    name: bytes, announced: frozenset[str], known: Known | None
) -> None:
    with FakeImap(capabilities=announced, preauth=True) as fake:
        session = session_to(fake.connect())
        session.folders()
        before = len(fake.commands)
        with pytest.raises(ProviderError) as caught:  # there is no such folder, whatever the name says
            session.open(name, known)
        sent = fake.commands[before:]
        if isinstance(caught.value, InvalidRequest):
            assert not sent, "refused before anything was sent"
        else:
            assert isinstance(caught.value, SourceError) and not caught.value.drops_connection
            assert (sent[0].name, sent[0].arguments[0]) == ("EXAMINE", name)
            # FETCH may ride behind its EXAMINE; nothing else may.
            assert {command.name for command in sent[1:]} <= {"UID FETCH"}
        session.close()
        assert fake.command_names()[-1] == "LOGOUT", "the stream is still in step"


@pytest.mark.parametrize("style", LiteralStyle)
@pytest.mark.parametrize("name", STRINGS, ids=IDS)
def test_a_string_is_quoted_counted_or_refused(name: bytes, style: LiteralStyle) -> None:
    if re.search(rb"[\0\r\n]", name):
        with pytest.raises(InvalidRequest):
            String(name)
        return
    segments = Command((b"STATUS", String(name), b"(MESSAGES)")).segments(b"T1", style)
    assert style is not LiteralStyle.FREE or len(segments) == 1
    stream = [line for segment in segments for line in segment.splitlines(keepends=True)]
    octets = b"".join(segments)
    at = [0]

    def readline() -> bytes:
        end = octets.index(b"\n", at[0]) + 1
        line, at[0] = octets[at[0] : end], end
        return line

    def read(count: int) -> bytes:
        piece, at[0] = octets[at[0] : at[0] + count], at[0] + count
        return piece

    waits: list[None] = []
    raw = read_command(readline, read, lambda: waits.append(None), literal_plus=True)
    assert at[0] == len(octets) and stream, "one command, and nothing behind it"
    assert len(waits) == len(segments) - 1
    assert parse_command(raw).arguments == (name, [b"MESSAGES"])


def test_our_own_pieces_are_checked_too() -> None:
    with pytest.raises(InvalidRequest):
        Command((b"NOOP\r\nX1 LOGOUT",))


def test_a_name_that_the_server_listed_goes_back_unchanged() -> None:
    odd = [
        b'quo"te',
        b"back\\slash",
        b"per%cent",
        b"sta*r",
        b"{5}",
        b"a{5+}",
        b"br(ack)et",
        b"]",
        b" lead",
        b"caf\xc3\xa9",
    ]
    for announced in (FULL, BARE):
        with FakeImap(capabilities=announced, preauth=True) as fake:
            for name in odd:
                fake.add_folder(name)
            session = session_to(fake.connect())
            listing = session.folders()
            assert {folder.name for folder in listing.folders} == {b"INBOX", *odd}
            assert all(folder.status is not None for folder in listing.folders)
            for folder in listing.folders:
                assert session.open(folder.name, None).messages == 0
            session.close()
