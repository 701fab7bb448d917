"""Hostile servers, lines 1 to 29 of the catalogue, as whole synchronizations: the door, and broken framing.

A line that breaks the framing is met twice: once, when a new connection heals it within the same run, and for ever,
when the folder fails and all others come down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provider import ErrorKind, Security
from provider.limits import Limits
from store import BodyState

from ..servers.fake_answer import Answer, Bend, Then
from ..servers.fakeimap import BARE, FULL
from .edge import (
    BODIES,
    FOLDER,
    QUICK,
    Edge,
    Scene,
    add,
    bend,
    closes,
    ends,
    falls_silent,
    fetch,
    honest,
    opening,
    says,
    swap,
)
from .rig import mail_of

K = ErrorKind
SHORT = Limits(reconnect_seconds=0.001, greeting_seconds=0.2, command_seconds=0.3, octets_per_second=10_000_000)
"""The deadline is what is tested: it is short, so that the test is."""


def greets(line: bytes) -> Callable[[Scene], None]:
    def lie(scene: Scene) -> None:
        scene.fake.greeting = line

    return lie


def login(hook: Bend) -> Callable[[Scene], None]:
    return bend("AUTHENTICATE", hook, folder=None)


def no_password_was_sent(scene: Scene) -> None:
    names = scene.fake.command_names()
    assert "LOGIN" not in names and "AUTHENTICATE" not in names


def no_login_at_all(scene: Scene) -> None:
    scene.fake.capabilities = frozenset({"IMAP4rev1", "LOGINDISABLED"})


def can_log_in(scene: Scene) -> None:
    scene.fake.capabilities = FULL


def silent_from_the_greeting(scene: Scene) -> None:
    scene.account = replace(scene.account, security=Security.TLS)


def plain_again(scene: Scene) -> None:
    scene.account = replace(scene.account, security=Security.NONE)


def tells_others_after_login(scene: Scene) -> None:
    """The greeting promises everything; once inside, the server can little, and says so only when it is asked."""
    scene.fake.greeting = b"* OK [CAPABILITY " + scene.fake.capability_words() + b"] hi"
    scene.fake.capabilities = BARE | {"SASL-IR"}
    scene.fake.tell_after_login = False


def once_and_for_ever(
    row: str, title: str, hook: Bend, kind: ErrorKind, *, asks: bytes = b"FETCH", limits: Limits = QUICK
) -> list[Edge]:
    """Two rows for an answer to FETCH that costs the connection.

    Where octets never come, the first message that broke two connections alone is suspected, and no second one.
    """
    blamed = asks == BODIES and kind is not K.LIMIT and hook is not longer_than_announced
    return [
        Edge(
            row=row,
            title=f"{title}, once",
            outcome="R" + "L" * (kind is K.LIMIT),
            met=False,
            limits=limits,
            lie=fetch(hook, asks, times=1),
            kinds={kind},
            also=honest,
        ),
        Edge(
            row=row,
            title=f"{title}, for ever",
            outcome="FR" + "Q" * blamed + "L" * (kind is K.LIMIT),
            met=False,
            limits=limits,
            lie=fetch(hook, asks),
            kinds={kind, K.MESSAGE_QUARANTINED} if blamed else {kind},
        ),
    ]


def cut_in_the_literal(answer: Answer) -> None:
    """Half of the rows come, and the last of them without its end."""
    whole = answer.octets()
    answer.raw, answer.then = whole[: len(whole) // 2], Then.CLOSE


def cut_in_the_first_literal(answer: Answer) -> None:
    answer.raw, answer.then = answer.rows[0][:-50], Then.CLOSE


def bye_in_the_middle(answer: Answer) -> None:
    answer.rows.insert(len(answer.rows) // 2, b"* BYE down")


def completes_twice(answer: Answer) -> None:
    answer.raw = answer.octets() + answer.command.tag + b" OK again\r\n"


def only_of_7(hook: Bend) -> Bend:
    """Bend what comes of message 7; all others are told truly, those behind it as well as those before."""

    def bad(answer: Answer) -> None:
        at = next((at for at, row in enumerate(answer.rows) if b"(UID 7 " in row), None)
        if at is not None:
            answer.rows[:] = answer.rows[at : at + 1] + answer.rows[:at] + answer.rows[at + 1 :]
            hook(answer)

    return bad


def all_but_7(scene: Scene) -> None:
    whole = {int(message.uid) for message in mail_of(scene.store, FOLDER) if message.body is BodyState.FULL}
    assert whole == set(range(1, 13)) - {7}
    nothing_half(scene)


def literal(spelled: bytes) -> Bend:
    return swap(rb"(BODY\[\]) \{\d+\}", rb"\1 " + spelled, count=1)


def longer_than_announced(answer: Answer) -> None:
    answer.rows[0] = answer.rows[0].removesuffix(b")") + b"def)"


def nothing_half(scene: Scene) -> None:
    """What is here whole has the octets of the server; the rest is not here."""
    there = {message.uid: message.octets for message in scene.fake.folder(FOLDER).messages.values()}
    with scene.store.read() as view:
        for message in mail_of(scene.store, FOLDER):
            if message.body is BodyState.FULL:
                assert view.raw(message.key) == there[int(message.uid)]


FLOOD = b"* OK still here\r\n" * 2_001
AWAY = {K.CONNECTION_LOST}

ROWS = [
    Edge(row="H1", title="the server closes at once", outcome="R", lie=login(closes), kinds=AWAY),
    Edge(
        row="H2",
        title="BYE: too many connections",
        outcome="R",
        lie=greets(b"* BYE too many connections"),
        kinds={K.SERVER_BUSY},
    ),
    Edge(
        row="H3 E51",
        title="PREAUTH without TLS",
        outcome="A",
        lie=greets(b"* PREAUTH welcome"),
        kinds={K.PREAUTH_WITHOUT_TLS},
        also=no_password_was_sent,
    ),
    *(
        Edge(
            row="H4 E52",
            title=f"greeting {line.decode()}",
            outcome="A",
            lie=greets(line),
            kinds={K.WRONG_PROTOCOL},
        )
        for line in (b"* OK", b"*OK hi", b"+OK POP3 ready", b"220 smtp", b"HTTP/1.1 302 Found")
    ),
    Edge(
        row="H5 E50",
        title="silent for ever",
        outcome="R",
        limits=SHORT,
        lie=bend("LIST", falls_silent, folder=None),
        kinds={K.TIMED_OUT},
    ),
    Edge(
        row="H6",
        title="a greeting without end",
        outcome="RL",
        lie=greets(b"* OK " + b"x" * 1_000_001),
        kinds={K.LIMIT},
    ),
    Edge(
        row="H7 E51",
        title="LOGINDISABLED",
        outcome="A",
        lie=no_login_at_all,
        kinds={K.LOGIN_UNSUPPORTED},
        also=no_password_was_sent,
        heal=can_log_in,
    ),
    Edge(
        row="E52",
        title="no TLS where TLS has to be: a portal answers",
        outcome="A",
        lie=silent_from_the_greeting,
        kinds={K.TLS_NOT_SPOKEN},
        also=no_password_was_sent,
        heal=plain_again,
    ),
    *(
        Edge(
            row="H11",
            title=f"login: {code.decode()}",
            outcome="A",
            lie=login(ends(b"NO " + code + b" x")),
            kinds={K.LOGIN_REFUSED},
        )
        for code in (b"[AUTHENTICATIONFAILED]", b"[EXPIRED]", b"[CONTACTADMIN]")
    ),
    *(
        Edge(
            row="H11",
            title=f"login: {code.decode()}",
            outcome="R",
            lie=login(ends(b"NO " + code + b" x")),
            kinds={K.SERVER_BUSY},
        )
        for code in (b"[UNAVAILABLE]", b"[INUSE]", b"[LIMIT]")
    ),
    Edge(
        row="H12",
        title="logged in, and yet not connected",
        outcome="R",
        lie=bend("LIST", ends(b"BAD User is authenticated but not connected."), folder=None),
        kinds={K.SERVER_BUSY},
    ),
    Edge(
        row="H13 E51",
        title="capabilities change with the login",
        outcome="K",
        lie=tells_others_after_login,
        also=honest,
        heal=can_log_in,
    ),
    Edge(
        row="H15",
        title="untagged lines before the login",
        outcome="K",
        lie=greets(b'* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n* ID ("name" NIL'),
        also=honest,
    ),
    *once_and_for_ever("H16", "OK without text", says(b"<T> OK\r\n"), K.PROTOCOL),
    *once_and_for_ever("H16", "an unknown tag", says(b"ZZ9 OK x\r\n"), K.PROTOCOL),
    *once_and_for_ever("H17", "lines end in LF alone", says(b"* 1 FETCH (UID 1 FLAGS ())\n<T> OK x\n"), K.PROTOCOL),
    Edge(row="H18", title="NUL in a line", outcome="K", lie=opening(add(b"* OK a\0b")), also=honest),
    *once_and_for_ever(
        "H19",
        "a literal with too little, then silence",
        says(b"* 1 FETCH (UID 1 BODY[] {3}\r\nab"),
        K.TIMED_OUT,
        asks=BODIES,
        limits=SHORT,
    ),
    *once_and_for_ever("H20 E15", "a literal longer than announced", longer_than_announced, K.PROTOCOL, asks=BODIES),
    *(
        edge
        for spelled in (b"{-1}", b"{}", b"{03}", b"{3+}", b"{1e3}", b"~{4}")
        for edge in once_and_for_ever(
            "H21 E17", f"literal {spelled.decode()}", literal(spelled), K.PROTOCOL, asks=BODIES
        )
    ),
    *once_and_for_ever("H21", "a literal of 99,999,999,999 octets", literal(b"{99999999999}"), K.LIMIT, asks=BODIES),
    *once_and_for_ever("H22", "an open quote", swap(rb'INTERNALDATE "[^"]*"', b'INTERNALDATE "17'), K.PROTOCOL),
    *once_and_for_ever("H23", "brackets 5,000 deep", add(b"* 1 FETCH " + b"(" * 5_000), K.LIMIT),
    *once_and_for_ever("H24", "a line of 1,000,001 octets", add(b"* OK " + b"x" * 1_000_001), K.LIMIT),
    *once_and_for_ever(
        "H25", "untagged lines without end", says(FLOOD), K.LIMIT, limits=replace(QUICK, untagged_rows=2_000)
    ),
    *once_and_for_ever("H26", "a continuation nobody waits for", says(b"+ go\r\n<T> OK x\r\n"), K.PROTOCOL),
    Edge(
        row="H27",
        title="the same completion twice",
        outcome="R",
        met=False,
        lie=fetch(completes_twice, b"BODY.PEEK[HEADER]"),
        kinds={K.PROTOCOL},
        also=honest,
    ),
    *once_and_for_ever("H28 E16", "BYE in the middle, then OK", bye_in_the_middle, K.CONNECTION_LOST),
    Edge(
        row="H28 E16",
        title="the line ends in a literal, once",
        outcome="R",
        met=False,
        lie=fetch(cut_in_the_literal, BODIES, times=1),
        kinds={K.CONNECTION_LOST},
        also=honest,
    ),
    *(
        Edge(
            row=row,
            title=f"{title}, always in the same message",
            outcome="RQ",
            met=False,
            lie=fetch(only_of_7(hook), BODIES),
            kinds={kind, K.MESSAGE_QUARANTINED},
            also=all_but_7,
        )
        for row, title, hook, kind in (
            ("H20 E15", "a literal longer than announced", longer_than_announced, K.PROTOCOL),
            ("H28 E16", "the line ends in a literal", cut_in_the_first_literal, K.CONNECTION_LOST),
        )
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_hostile_server_ends_as_stated(row: Edge, tmp_path: Path) -> None:
    row.play(tmp_path)
