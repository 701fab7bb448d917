"""Every cap is a setting, has the default that the limits page names, and is told when it is hit.

Caps of the wire are met by whole synchronizations with a small setting; caps of the MIME reader by a message that is
one too many. Sizes in which we work, and which nobody can hit, are named so that no field is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from provider import ErrorKind, FolderPolicy, Keep
from provider.limits import Limits
from store import BodyState, MailStore, MimeLimit
from store.mime import MimeLimits, part_bytes, parts, scan_header, text

from ..servers.fakeimap import FakeImap
from .edge import BODIES, FOLDER, QUICK, Edge, Scene, add, bend, falls_silent, fetch, honest, letter, opening, swap
from .rig import account_at, mail_of, run_to_the_end

K = ErrorKind

DEFAULTS = {
    "line_octets": 1_000_000,
    "literal_octets": 64_000_000,
    "untagged_rows": 200_000,
    "header_octets": 1_000_000,
}
MIME_DEFAULTS = {
    "depth": 50,
    "parts": 1_000,
    "header_octets": 1_000_000,
    "line_octets": 64_000,
    "addresses": 2_000,
    "decoded_octets": 64_000_000,
}
WORKING_SIZES = {
    "whole_octets",
    "part_octets",
    "command_octets",
    "unanswered_octets",
    "octets_per_second",
    "reconnect_seconds",
    "queue_octets",
    "connect_seconds",  # test_connect: a door that does not open
    "greeting_seconds",  # test_connect, line 5
}
"""How we ask, not what we accept; their tests are those of the wire."""

SUBMISSION = {"reply_octets", "envelope_seconds", "data_seconds", "block_seconds", "end_seconds"}
"""What a submission server may do to us: `wire/test_smtp_limits.py` plays each of them."""


def large_header(scene: Scene) -> None:
    scene.fake.append(FOLDER, b"X-Long: " + b"y" * 3_000 + b"\r\n" + letter(13))


def told_and_here(scene: Scene) -> None:
    """The message is here whole: only its header block was too large to be asked for by itself."""
    honest(scene)


def silence(scene: Scene) -> None:
    scene.lie("LIST", falls_silent, folder=None)


HIT = {
    "line_octets": Edge(
        row="line",
        title="of 3,000 octets",
        outcome="FRL",
        limits=replace(QUICK, line_octets=3_000),
        lie=opening(add(b"* OK " + b"x" * 3_000)),
        kinds={K.LIMIT},
    ),
    "literal_octets": Edge(
        row="literal",
        title="of 60,000 octets",
        outcome="FRL",
        met=False,
        limits=replace(QUICK, literal_octets=50_000),
        lie=fetch(swap(rb"(BODY\[\]) \{\d+\}", rb"\1 {60000}"), BODIES),
        kinds={K.LIMIT},
    ),
    "untagged_rows": Edge(
        row="rows",
        title="of one command, 501",
        outcome="FRL",
        met=False,
        limits=replace(QUICK, untagged_rows=500),
        lie=fetch(add(*[b"* OK still here"] * 501)),
        kinds={K.LIMIT},
    ),
    "nesting": Edge(
        row="nesting",
        title="11 deep",
        outcome="FRL",
        met=False,
        limits=replace(QUICK, nesting=10),
        lie=fetch(add(b"* 1 FETCH " + b"(" * 11 + b")" * 11)),
        kinds={K.LIMIT},
    ),
    "folders": Edge(
        row="folders",
        title="11",
        outcome="RL",
        limits=replace(QUICK, folders=10),
        lie=bend("LIST", add(*(b'* LIST () "/" f%d' % number for number in range(11))), folder=None),
        kinds={K.LIMIT},
    ),
    "folder_name_octets": Edge(
        row="name",
        title="of 31 octets",
        outcome="K",
        limits=replace(QUICK, folder_name_octets=30),
        lie=bend("LIST", add(b'* LIST () "/" "' + b"n" * 31 + b'"'), folder=None),
        kinds={K.FOLDER_UNUSABLE},
    ),
    "header_octets": Edge(
        row="header block",
        title="of 3,000 octets",
        outcome="K",
        limits=replace(QUICK, header_octets=2_000),
        lie=large_header,
        kinds={K.LIMIT},
        also=told_and_here,
    ),
    "message_octets": Edge(
        row="message",
        title="that claims 20,000 octets",
        outcome="Q",
        met=False,
        limits=replace(QUICK, whole_octets=1_000, message_octets=10_000),
        lie=fetch(swap(rb"(UID 7 .*RFC822.SIZE) \d+", rb"\1 20000")),
        kinds={K.MESSAGE_QUARANTINED},
        heals=False,
    ),
    "command_seconds": Edge(
        row="command",
        title="without an answer",
        outcome="R",
        limits=replace(QUICK, command_seconds=0.3, octets_per_second=10_000_000),
        lie=silence,
        kinds={K.TIMED_OUT},
    ),
}


@pytest.mark.parametrize("name", HIT)
def test_a_cap_of_the_wire_is_a_setting_and_is_told_when_it_is_hit(name: str, tmp_path: Path) -> None:
    HIT[name].play(tmp_path)


def test_the_caps_have_the_defaults_that_were_promised() -> None:
    assert {name: getattr(Limits(), name) for name in DEFAULTS} == DEFAULTS
    assert {name: getattr(MimeLimits(), name) for name in MIME_DEFAULTS} == MIME_DEFAULTS


def test_no_setting_is_forgotten() -> None:
    assert set(HIT) | WORKING_SIZES | SUBMISSION == {field.name for field in fields(Limits)}
    assert not set(HIT) & (WORKING_SIZES | SUBMISSION)


def test_a_header_that_is_too_large_stays_told_where_only_headers_are_kept(
    fake_imap: FakeImap, mail_store: MailStore
) -> None:
    fake_imap.append("INBOX", b"X-Long: " + b"y" * 3_000 + b"\r\n" + letter(1))
    fake_imap.append("INBOX", letter(2))
    account = account_at(
        fake_imap.port,
        fake_imap.user,
        fake_imap.password,
        limits=replace(QUICK, header_octets=2_000),
        policy=FolderPolicy(keep=Keep.HEADERS),
    )
    result, host = run_to_the_end(mail_store, account)
    assert result.ok
    assert {error.kind for error in host.errors} == {K.LIMIT, K.MESSAGE_QUARANTINED}
    assert [(int(m.uid), m.body) for m in mail_of(mail_store, "INBOX")] == [(2, BodyState.HEADERS)]


MULTIPART = b"Content-Type: multipart/mixed; boundary=b\n\n"

MIME_HIT: dict[str, tuple[MimeLimits, Callable[[MimeLimits], object]]] = {
    "depth": (MimeLimits(depth=3), lambda limits: parts(b"Content-Type: message/rfc822\n\n" * 5, limits)),
    "parts": (MimeLimits(parts=4), lambda limits: parts(MULTIPART + b"--b\n\nx\n" * 4, limits)),
    "delimiters": (MimeLimits(delimiters=10), lambda limits: parts(MULTIPART + b"--c\n" * 11, limits)),
    "header_octets": (MimeLimits(header_octets=50), lambda limits: parts(b"A: b\n" * 11 + b"\n", limits)),
    "parameters": (
        MimeLimits(parameters=3),
        lambda limits: parts(b"Content-Type: text/plain" + b"; a=b" * 4 + b"\n\n", limits),
    ),
    "decoded_octets": (MimeLimits(decoded_octets=10), lambda limits: part_bytes(b"\n" + b"x" * 11, "1", limits)),
}


@pytest.mark.parametrize("name", MIME_HIT)
def test_a_cap_of_the_mime_reader_is_an_error_that_names_it(name: str) -> None:
    limits, read = MIME_HIT[name]
    with pytest.raises(MimeLimit, match=str(getattr(limits, name))):
        read(limits)


LONG_LINE = b"Subject: " + b"s" * 60 + b"\n"
ENVELOPE_CUT = {
    "header_octets": (MimeLimits(header_octets=40), LONG_LINE + b"From: a@x\n"),
    "line_octets": (MimeLimits(line_octets=40), LONG_LINE),
    "addresses": (MimeLimits(addresses=3), b"To: a@x, b@x, c@x, d@x\n"),
}


@pytest.mark.parametrize("name", ENVELOPE_CUT)
def test_a_header_that_is_cut_for_lists_says_so_and_one_within_the_cap_does_not(name: str) -> None:
    limits, block = ENVELOPE_CUT[name]
    assert scan_header(block, limits).cut
    assert not scan_header(block).cut


def test_a_field_folded_into_many_short_lines_is_not_cut() -> None:
    block = b"References: " + b"\n ".join(b"<%d@x.example>" % number for number in range(50)) + b"\n"
    envelope = scan_header(block, MimeLimits(line_octets=40))
    assert len(envelope.references) == 50 and not envelope.cut


def test_text_ends_at_its_cap() -> None:
    raw = b"\n" + b"word " * 100
    assert text(raw, MimeLimits(text_octets=50)).split() == ["word"] * 10


def test_no_setting_of_the_mime_reader_is_forgotten() -> None:
    assert set(MIME_HIT) | set(ENVELOPE_CUT) | {"text_octets"} == {field.name for field in fields(MimeLimits)}
