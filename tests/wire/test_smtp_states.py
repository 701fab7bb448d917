"""What a server may answer in each state, and what becomes of each recipient then (T30, lines 93 to 99, O2 to O5).

A row is (how the server behaves, how it must end, what it delivered). The server knows what it delivered: ANSWERED and
NOT_SENT must be the truth about that, and doubt is allowed from the final dot to its answer only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provider.limits import Limits
from provider.transport.base import Ended, Outgoing
from tests.servers.fakesmtp import Answer, FakeSmtp, Manners
from tests.wire.smtp_rig import MESSAGE, Watching, letter, opened

A, B, C = "a@example.org", "b@example.org", "c@example.org"
ALL = (A, B, C)
ANSWERED, NOT_SENT, IN_DOUBT = Ended.ANSWERED, Ended.NOT_SENT, Ended.IN_DOUBT
QUICK = Limits(command_seconds=0.3, envelope_seconds=0.3, data_seconds=0.3, block_seconds=0.3, end_seconds=0.3)
MEGABYTE = b"x" * 1_000_000
CUT = None


def each(**answers: bytes) -> Callable[[bytes], bytes]:
    """Answer RCPT by the recipient's local part; else it is taken."""

    def answer(line: bytes) -> bytes:
        local = line.partition(b"<")[2].partition(b"@")[0].decode()
        return answers.get(local, b"250 2.1.5 ok\r\n")

    return answer


@dataclass(frozen=True)
class State:
    """One row. *accepted*, *later* and *refused* name recipients; *delivered*: how many the server has."""

    ends: Ended
    answers: dict[str, Answer] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    broken: bool = False
    delivered: int = 0
    extensions: tuple[bytes, ...] = Manners.extensions
    mail: dict[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    delivers_what_it_cuts: bool = False
    unheard: tuple[bytes, ...] = ()
    """Commands that must not have been said."""


def lost(answers: dict[str, Answer], **more: object) -> State:
    return State(NOT_SENT, answers, broken=True, **more)  # type: ignore[arg-type]


def doubt(answers: dict[str, Answer], **more: object) -> State:
    return State(IN_DOUBT, answers, broken=True, **more)  # type: ignore[arg-type]


ROWS = {
    "as it should be": State(ANSWERED, accepted=ALL, delivered=1),
    # 93: answers that are none, or do not end.
    "row 93: a code of two digits to MAIL": lost({"mail": b"25 ok\r\n"}),
    "row 93: code 999 to MAIL": lost({"mail": b"999 ok\r\n"}),
    "row 93: code 199 to RCPT": lost({"rcpt": b"199 ok\r\n"}),
    "row 93: no digits to RCPT": lost({"rcpt": b"ok, fine\r\n"}),
    "row 93: no digits to DATA": lost({"data": b"go ahead\r\n"}),
    "row 93: no digits to the dot": doubt({"dot": b"thanks\r\n"}, delivered=0),
    "row 93: 999 to the dot": doubt({"dot": b"999 thanks\r\n"}),
    "row 93: endless lines to MAIL": lost({"mail": b"250-ok\r\n" * 20_000}),
    "row 93: endless lines to the dot": doubt({"dot": b"250-ok\r\n" * 20_000}, delivered=1),
    "row 93: a line of a megabyte to MAIL": lost({"mail": b"250 " + MEGABYTE + b"\r\n"}),
    "row 93: a line of a megabyte to the dot": doubt({"dot": b"250 " + MEGABYTE + b"\r\n"}, delivered=1),
    "row 93: lines of different codes": lost({"mail": b"250-ok\r\n550 no\r\n"}),
    "row 93: noise": lost({"rcpt": b"\x00\xff\xfe\r\n"}),
    # 94: refusals, for now and for good, in each state.
    "row 94: 421 to MAIL": lost({"mail": b"421 4.3.2 closing\r\n"}),
    "row 94: 421 to RCPT": lost({"rcpt": b"421 4.3.2 closing\r\n"}),
    "row 94: 421 to the second RCPT": lost({"rcpt": each(b=b"421 4.3.2 closing\r\n")}),
    "row 94: 421 to DATA": lost({"data": b"421 4.3.2 closing\r\n"}),
    "row 94: 421 to the dot": State(ANSWERED, {"dot": b"421 4.3.2 closing\r\n"}, later=ALL, broken=True),
    "row 94: 421 to RSET": State(
        ANSWERED, {"rcpt": b"550 no\r\n", "rset": b"421 closing\r\n"}, refused=ALL, broken=True, unheard=(b"DATA",)
    ),
    "row 94: 421 behind the answer to the dot": State(
        ANSWERED, {"dot": b"250 ok\r\n421 enough for today\r\n"}, accepted=ALL, broken=True, delivered=1
    ),
    "row 94: greylisted": State(ANSWERED, {"rcpt": b"450 4.7.1 greylisted\r\n"}, later=ALL, unheard=(b"DATA",)),
    "row 94: one of three greylisted": State(
        ANSWERED, {"rcpt": each(b=b"450 4.7.1 greylisted\r\n")}, accepted=(A, C), later=(B,), delivered=1
    ),
    "row 94: one of three refused": State(
        ANSWERED, {"rcpt": each(b=b"550 5.1.1 no such mailbox\r\n")}, accepted=(A, C), refused=(B,), delivered=1
    ),
    "row 94: one refused, one later": State(
        ANSWERED, {"rcpt": each(a=b"550 no\r\n", c=b"451 no\r\n")}, accepted=(B,), refused=(A,), later=(C,), delivered=1
    ),
    "row 94: all refused": State(ANSWERED, {"rcpt": b"550 5.1.1 no\r\n"}, refused=ALL, unheard=(b"DATA",)),
    "row 94: all refused, some later": State(
        ANSWERED, {"rcpt": each(a=b"550 no\r\n", b=b"450 no\r\n", c=b"553 no\r\n")}, refused=(A, C), later=(B,)
    ),
    "row 94: 552 to the dot": State(ANSWERED, {"dot": b"552 5.3.4 too big\r\n"}, refused=ALL),
    "row 94: 552 to the dot, one refused before": State(
        ANSWERED, {"rcpt": each(b=b"550 no\r\n"), "dot": b"552 5.3.4 too big\r\n"}, refused=ALL
    ),
    "row 94: 451 to the dot": State(ANSWERED, {"dot": b"451 4.3.0 try again\r\n"}, later=ALL),
    "row 94: 451 to the dot, one refused before": State(
        ANSWERED, {"rcpt": each(b=b"550 no\r\n"), "dot": b"451 4.3.0 later\r\n"}, refused=(B,), later=(A, C)
    ),
    "554 to the dot": State(ANSWERED, {"dot": b"554 5.7.1 spam\r\n"}, refused=ALL),
    "the sender refused": State(ANSWERED, {"mail": b"550 5.7.1 not yours\r\n"}, refused=ALL, unheard=(b"DATA",)),
    "the sender refused for now": State(ANSWERED, {"mail": b"451 4.1.8 no DNS\r\n"}, later=ALL, unheard=(b"DATA",)),
    "DATA refused": State(ANSWERED, {"data": b"554 5.5.1 no\r\n"}, refused=ALL),
    "DATA refused for now": State(ANSWERED, {"data": b"451 4.3.0 no\r\n"}, later=ALL),
    "too many recipients, in the old words": State(
        ANSWERED, {"rcpt": each(c=b"552 too many\r\n")}, accepted=(A, B), later=(C,), delivered=1
    ),
    "too many recipients": State(
        ANSWERED, {"rcpt": each(c=b"452 4.5.3 too many\r\n")}, accepted=(A, B), later=(C,), delivered=1
    ),
    "a full mailbox is not too many": State(
        ANSWERED, {"rcpt": each(c=b"552 5.2.2 full\r\n")}, accepted=(A, B), refused=(C,), delivered=1
    ),
    "552 to the first": State(ANSWERED, {"rcpt": b"552 no\r\n"}, refused=ALL),
    "will forward, cannot verify": State(
        ANSWERED, {"rcpt": each(a=b"251 elsewhere\r\n", b=b"252 perhaps\r\n")}, accepted=ALL, delivered=1
    ),
    "the basic code counts, not the enhanced one": State(
        ANSWERED,
        {"rcpt": each(a=b"550 4.2.0 odd\r\n", b=b"450 5.1.1 odd\r\n")},
        accepted=(C,),
        refused=(A,),
        later=(B,),
        delivered=1,
    ),
    "RSET refused": State(ANSWERED, {"rcpt": b"550 no\r\n", "rset": b"500 what?\r\n"}, refused=ALL, broken=True),
    # 95: the line ends right after the dot, with the message or without.
    "row 95: cut after the dot, not delivered": doubt({"dot": CUT}),
    "row 95: cut after the dot, delivered": doubt({"dot": CUT}, delivers_what_it_cuts=True, delivered=1),
    "row 95: silence after the dot": doubt({"dot": b""}, limits=QUICK),
    "cut at MAIL": lost({"mail": CUT}),
    "cut at RCPT": lost({"rcpt": CUT}),
    "cut at DATA": lost({"data": CUT}),
    "silence at MAIL": lost({"mail": b""}, limits=QUICK),
    "silence at RCPT": lost({"rcpt": b""}, limits=QUICK),
    "silence at DATA": lost({"data": b""}, limits=QUICK),
    # 96: answers in the wrong place.
    "row 96: 354 is missing": lost({"data": b"250 go ahead\r\n"}),
    "row 96: 334 in place of 354": lost({"data": b"334 go ahead\r\n"}),
    "row 96: 354, and 500 for each line": lost({"data": b"354 go\r\n500 what?\r\n500 what?\r\n"}),
    "row 96: 354, and taken at once": lost({"data": b"354 go\r\n250 taken\r\n"}),
    "row 96: 354, and too big at once": State(
        ANSWERED, {"data": b"354 go\r\n552 5.3.4 too big\r\n"}, refused=ALL, broken=True
    ),
    "row 96: 354, and 421 at once": lost({"data": b"354 go\r\n421 closing\r\n"}),
    "row 96: 354 to MAIL": lost({"mail": b"354 go\r\n"}),
    "row 96: 354 to RCPT": lost({"rcpt": b"354 go\r\n"}),
    "row 96: 354 to the dot": doubt({"dot": b"354 go\r\n"}),
    "row 96: 250 twice to RCPT": lost({"rcpt": each(c=b"250 ok\r\n250 ok\r\n")}),
    "row 96: 250 twice to DATA": lost({"data": b"250 ok\r\n354 go\r\n"}),
    # Whichever of the two was meant: they say the same. Doubt would send a second time what was taken.
    "row 96: 250 twice to the dot": State(
        ANSWERED, answers={"dot": b"250 ok\r\n250 ok\r\n"}, accepted=ALL, delivered=1, broken=True
    ),
    "row 96: 250, and half an answer more": doubt({"dot": b"250 ok\r\n55"}, delivered=1),
    "row 96: taken and refused": doubt({"dot": b"250 ok\r\n554 no\r\n"}, delivered=1),
    # 98: needs that the server does not meet.
    "row 98: larger than SIZE": State(
        ANSWERED, extensions=(b"SIZE 20",), refused=ALL, unheard=(b"MAIL", b"RCPT", b"DATA")
    ),
    "row 98: SIZE is exactly enough": State(
        ANSWERED, extensions=(b"SIZE %d" % len(MESSAGE),), accepted=ALL, delivered=1
    ),
    "row 98: 8BITMIME missing": State(
        ANSWERED, extensions=(b"SIZE",), mail={"eight_bit": True}, refused=ALL, unheard=(b"MAIL",)
    ),
    "row 98: SMTPUTF8 missing": State(
        ANSWERED, extensions=(b"8BITMIME",), mail={"utf8": True}, refused=ALL, unheard=(b"MAIL",)
    ),
    "row 98: SMTPUTF8 missing for an address": State(
        ANSWERED,
        extensions=(b"8BITMIME",),
        mail={"sender": "pelé@example.org"},
        refused=ALL,
        unheard=(b"MAIL",),
    ),
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("name", ROWS)
def test_what_is_told_of_a_message_is_the_truth(name: str, pipelining: bool) -> None:
    row = ROWS[name]
    extensions = tuple(one for one in row.extensions if one != b"PIPELINING") + (b"PIPELINING",) * pipelining
    manners = Manners(extensions=extensions, answers=row.answers, delivers_what_it_cuts=row.delivers_what_it_cuts)
    watch = Watching()
    with FakeSmtp(manners) as server, opened(server.port, limits=row.limits) as session:
        delivery = session.send(_mail(row), watch)
        server.manners = Manners()
        again = session.send(letter(b"S: s\r\n\r\nx\r\n", C), Watching())
    assert delivery.ended is row.ends, delivery
    assert delivery.accepted == frozenset(row.accepted)
    assert [one for one, _ in delivery.later] == sorted(row.later)
    assert sorted(one for one, _ in delivery.refused) == sorted(row.refused)
    assert delivery.broken is row.broken
    assert bool(delivery.reason) is (row.ends is not ANSWERED)
    told = [reply for _, reply in (*delivery.later, *delivery.refused)]
    assert all(reply.text for reply in told)
    # A session that is not broken goes on with the next message; a broken one says so, and delivers nothing.
    assert (again.accepted, again.ended) == ((frozenset(), NOT_SENT) if row.broken else ({C}, ANSWERED))
    assert len(server.delivered) == row.delivered + (not row.broken)
    assert watch.ends <= 1
    assert watch.ends == 1 or not row.accepted
    first_message = [command.split(b" ")[0].split(b":")[0] for command in server.commands]
    if row.broken:
        assert not set(first_message) & set(row.unheard)
    else:
        assert all(first_message.count(verb) == 1 for verb in row.unheard)  # that of the second message


def test_the_table_has_more_than_sixty_rows() -> None:
    assert len(ROWS) >= 60


def _mail(row: State) -> Outgoing:
    return letter(MESSAGE, *ALL, **row.mail)
