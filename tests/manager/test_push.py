"""Push against servers that do as a script says, on a clock that is turned by hand: nothing waits, nothing is lost."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from provider import Account, MailStoreProvider, Password, Security
from provider.errors import LimitExceeded
from provider.events import ItemStatus
from provider.manager.handlers.book import Kept
from provider.manager.mail.items import MAIL, StoreBook, account_item
from provider.manager.pushing.push import Push
from provider.manager.pushing.runs import Pushed
from provider.manager.pushing.watchlist import POLL_FIRST_SECONDS, POLL_SECONDS, REFUSED_SECONDS
from provider.request import SyncFlags, SyncRequest, Trigger
from provider.sources.imap.watching import ANSWER_SECONDS, FLOOD_OCTETS, SILENCE_SECONDS
from provider.testing import ManualClock
from provider.turn import AccountOutcome, Turn
from store import MailStore, open_store
from store.mail import AccountId
from tests.contract.playing import Gate, Play, walk
from tests.servers.scripted import Act, Expect, Say, ScriptedServer, Step

A, B = AccountId("a"), AccountId("b")
STEPS = 400
STEP_SECONDS = 0.05


def says(text: str) -> Say:
    return Say(text.encode().replace(b"|", b"\r\n"))


def asks(text: str) -> Expect:
    return Expect(text.encode() + b"\r\n")


def entered(capabilities: str = "IMAP4rev1 IDLE") -> list[Step]:
    return [
        says("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready|"),
        asks("{a} AUTHENTICATE PLAIN {*}"),
        says(f"{{a}} OK [CAPABILITY {capabilities}] in|"),
    ]


def examined() -> list[Step]:
    return [*entered(), asks('{b} EXAMINE "INBOX"'), says("* 3 EXISTS|{b} OK [READ-ONLY] done|"), asks("{c} IDLE")]


PARKED: list[Step] = [*examined(), says("+ idling|")]
LEFT: list[Step] = [asks("DONE"), asks("{l} LOGOUT")]


def served(*scripts: Sequence[Step]) -> ScriptedServer:
    """Return a server of these scripts; what a name in braces stands for is each connection's own."""
    return ScriptedServer(*([_numbered(step, number) for step in one] for number, one in enumerate(scripts)))


def _numbered(step: Step, number: int) -> Step:
    if isinstance(step, Say | Expect) and step.places:
        return replace(step, octets=re.sub(rb"\{([a-z])\}", rb"{\g<1>%d}" % number, step.octets))
    return step


class Scene:
    """A push without a thread of its own, accounts at scripted servers, and runs that a test sets."""

    def __init__(self, path: Path, play: Play, **more: object) -> None:
        self.clock, self.play, self.ran = ManualClock(), play, list[Pushed]()
        self.asked: list[SyncRequest] = []
        self.store: MailStore = open_store(path / "mail.db")
        self.provider = MailStoreProvider(self.store, run=self._run, source_of=more.pop("source_of", None))  # type: ignore[arg-type]
        self.push = Push(self.store, self.provider, clock=self.clock, heard=self.ran.append, **more)  # type: ignore[arg-type]

    def _run(
        self, store: object, source: object, account: Account, request: SyncRequest, *rest: object
    ) -> AccountOutcome:
        self.asked.append(request)
        return self.play(store, source, account, request, *rest)  # type: ignore[arg-type]

    def add(self, server: ScriptedServer | int, name: AccountId = A, kind: str = "imap") -> None:
        port = server if isinstance(server, int) else server.port
        self.provider.add_account(
            Account(
                id=name,
                kind=kind,
                host="127.0.0.1",
                port=port,
                user="u",
                security=Security.NONE,
                credentials=Password("pw of the scripted server"),
            )
        )

    def until(self, what: Callable[[], object]) -> None:
        for _ in range(STEPS):
            if what():
                return
            self.push.step(STEP_SECONDS)
        raise AssertionError(f"it never came: {self.push._list.all}, {self.ran}")

    def settle(self, runs: int) -> None:
        self.until(lambda: len(self.ran) == runs and not self.push._runs)

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.push.step()

    def close(self) -> None:
        self.push.stop()
        self.provider.close()
        self.store.close()


@contextmanager
def scene(path: Path, *scripts: Sequence[Step], play: Play | None = None, **more: object) -> Iterator[Scene]:
    with served(*scripts) as server:
        made = Scene(path, play or Play(), **more)
        try:
            if scripts:
                made.add(server)
            yield made
        finally:
            made.close()


def test_what_a_server_tells_is_a_run_of_the_inbox(tmp_path: Path) -> None:
    with scene(
        tmp_path, [*PARKED, asks("DONE"), says("* 4 EXISTS|{c} OK done|"), asks("{d} IDLE"), says("+|"), *LEFT]
    ) as one:
        one.settle(1)
        one.after(SILENCE_SECONDS)
        one.settle(2)
        assert {(ran.account, ran.folder, ran.outcome) for ran in one.ran} == {(A, "INBOX", "complete")}
        assert one.asked[0].folders == ("INBOX",) and one.asked[0].trigger is Trigger.PUSH
        assert one.push.watching == (A,)


@pytest.mark.parametrize("drip", [False, True])
def test_row_79_a_conversation_octet_by_octet_is_as_good(tmp_path: Path, drip: bool) -> None:
    begin: list[Step] = [Act.DRIP] if drip else []
    with scene(
        tmp_path, [*begin, *PARKED, asks("DONE"), says("* 4 EXISTS|{c} OK done|"), asks("{d} IDLE"), says("+|"), *LEFT]
    ) as one:
        one.settle(1)
        one.after(SILENCE_SECONDS)
        one.settle(2)
        one.until(lambda: one.push._lines[A].line._watch.state.value == "parked")  # type: ignore[attr-defined]


def test_row_79_a_server_that_never_answers_idle_is_left_and_polled(tmp_path: Path) -> None:
    with scene(tmp_path, [*examined(), Act.SILENCE]) as one:
        one.until(lambda: A in one.push._lines and not one.push._lines[A].line._watch.out)  # type: ignore[attr-defined]
        one.until(lambda: one.push._lines[A].line._watch.state.value == "entering")  # type: ignore[attr-defined]
        one.after(60)
        assert one.push.watching == () and "does not answer" in one.push.why_not(A)
        one.settle(1)
        assert (one.ran[0].folder, one.asked[0].flags & SyncFlags.SYNC_BACKGROUND) == (None, SyncFlags.SYNC_BACKGROUND)


def test_row_79_a_line_that_died_is_found_and_what_came_meanwhile_is_looked_for(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, asks("DONE"), Act.SILENCE], [*PARKED, *LEFT]) as one:
        one.settle(1)
        one.after(SILENCE_SECONDS)
        assert one.push.watching == (A,)
        one.after(ANSWER_SECONDS)
        assert one.push.watching == () and one.clock.monotonic() <= 300
        one.after(2)
        one.settle(2)
        assert one.push.watching == (A,)


def test_row_79_a_server_that_says_goodbye_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, says("* BYE shutting down|")], [*PARKED, *LEFT]) as one:
        one.until(lambda: one.push._list.all.get(A) and one.push._list.all[A].why)
        one.push.step()
        assert one.push.watching == ()
        one.after(2)
        one.until(lambda: one.push.watching == (A,))


def test_a_server_that_cannot_tell_is_polled_and_asked_again_after_an_hour(tmp_path: Path) -> None:
    with scene(tmp_path, [*entered("IMAP4rev1")], [*PARKED, *LEFT]) as one:
        one.until(lambda: one.push.why_not(A))
        assert "IDLE" in one.push.why_not(A)
        one.after(POLL_FIRST_SECONDS)
        one.settle(1)
        one.after(POLL_SECONDS * 1.1)
        one.settle(2)
        assert {ran.folder for ran in one.ran} == {None}
        one.after(REFUSED_SECONDS)
        one.until(lambda: one.push.watching == (A,))


def test_a_server_that_is_not_there_costs_a_try_now_and_then(tmp_path: Path) -> None:
    with ScriptedServer() as gone:
        port = gone.port
    with scene(tmp_path) as one:
        one.add(port)
        for tries in range(1, 6):
            one.until(lambda tries=tries: one.push._list.all and one.push._list.all[A].failures == tries)
            one.after(2.0**tries)


class _Left:
    """A server whose client leaves in the middle of its script, as it should."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def close(self) -> None:
        self._server.stop(judge=False)


def test_row_79_a_flood_on_one_line_leaves_the_other_its_turns(tmp_path: Path) -> None:
    wave = Say(b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 40_000, places=False)
    flood = [wave] * (FLOOD_OCTETS // len(wave.octets) + 8)
    told = [*PARKED, says("* 9 EXISTS|"), *LEFT]
    loud = served([*PARKED, *flood]).start()
    with closing(_Left(loud)), served(told) as quiet, scene(tmp_path) as one:
        one.add(loud, A)
        one.add(quiet, B)
        one.until(lambda: any(ran.account == B for ran in one.ran))
        one.until(lambda: "listens" in one.push.why_not(A))
        assert one.push.watching == (B,)


def test_a_pause_holds_the_runs_and_keeps_the_lines(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, *LEFT]) as one:
        one.store.schedules.pause()
        one.until(lambda: one.push.watching == (A,))
        for _ in range(5):
            one.push.step()
        assert one.asked == []
        one.store.schedules.resume()
        one.settle(1)


def test_an_account_that_goes_takes_its_line_along_and_one_that_comes_gets_one(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, *LEFT]) as one:
        one.settle(1)
        one.provider.remove_account(A)
        one.push.step()
        assert (one.push.watching, one.push._lines, one.push._stops) == ((), {}, {})
        with served([*PARKED, *LEFT]) as other:
            one.add(other, B)
            one.until(lambda: one.push.watching == (B,))
            one.push.stop()


def test_a_run_that_is_under_way_is_followed_by_one_more(tmp_path: Path) -> None:
    gate = Gate()
    script = [*PARKED, asks("DONE"), says("* 4 EXISTS|{c} OK done|"), asks("{d} IDLE"), says("+|"), *LEFT]
    with scene(tmp_path, script, play=Play(a=gate)) as one:
        one.until(gate.reached.is_set)
        one.after(SILENCE_SECONDS)
        one.until(lambda: one.push._list.all[A].marked)
        one.play.scripts["a"] = walk
        gate.open()
        one.settle(1)
        one.after(1)
        one.settle(2)


def test_an_account_that_people_switched_off_is_not_started(tmp_path: Path) -> None:
    with served(PARKED) as server, scene(tmp_path) as one:
        StoreBook(one.store).keep(MAIL, account_item(A), Kept(enabled=False))
        one.add(server)
        one.until(lambda: one.push._list.all and one.push._list.all[A].failures)
        one.after(POLL_FIRST_SECONDS * 2)
        one.until(lambda: not one.push._list.all[A].running)
        assert one.play.runs == []


def test_a_run_that_needs_the_place_gets_it(tmp_path: Path) -> None:
    made: list[bool] = []

    def crowded(reporter: object, turn: Turn, request: object) -> AccountOutcome:
        made.append(turn.make_room())
        return AccountOutcome(status=ItemStatus.SUCCEEDED)

    with scene(tmp_path, [*PARKED, Act.SILENCE], play=Play(a=crowded)) as one:
        one.settle(1)
        one.until(lambda: one.push.watching == ())
        assert made == [True]
        one.after(POLL_SECONDS * 1.1)
        one.settle(2)
        assert made == [True, False]


def test_fifty_lines_are_one_thread_and_leave_none_behind(tmp_path: Path) -> None:
    many = [AccountId(f"a{number}") for number in range(50)]
    with served(*([[*PARKED, *LEFT]] * 50)) as server, scene(tmp_path) as one:
        for account in many:
            one.add(server, account)
        before = {thread.name for thread in threading.enumerate()}
        one.push.start()
        for _ in range(STEPS):
            if len(one.push.watching) == 50 and len(one.ran) == 50:
                break
            threading.Event().wait(STEP_SECONDS)
        assert len(one.push.watching) == 50
        alive = one.push._bridge.alive()
        assert len(alive) == 1 and alive[0].startswith("maildock-push-"), alive
        one.push.stop()
        assert one.push._bridge.alive() == () and len(before) > 1
        one.push.stop()


def parked_twice() -> list[Step]:
    return [*PARKED, asks("DONE"), says("{c} OK done|"), asks("{d} IDLE"), says("+|"), *LEFT]


def test_a_machine_that_slept_tries_its_lines_at_once(tmp_path: Path) -> None:
    with scene(tmp_path, parked_twice()) as one:
        one.settle(1)
        one.clock._start += timedelta(hours=8)  # spans do not count while a machine sleeps
        one.until(lambda: one.push._lines[A].line._watch._sent == 3 and one.push._lines[A].line.parked)  # type: ignore[attr-defined]
        one.until(lambda: one.push._lines[A].line._watch.state.value == "parked")  # type: ignore[attr-defined]


def test_another_network_tries_what_was_lost_at_once_and_none_rests(tmp_path: Path) -> None:
    with scene(tmp_path, [*PARKED, *LEFT], [says("* BYE [UNAVAILABLE] later|")], [*PARKED, *LEFT]) as one:
        one.settle(1)
        one.push.rest()
        for _ in range(3):
            one.push.step()
        assert (one.push.watching, one.push._lines) == ((), {})
        one.push.look_again()
        one.until(lambda: one.push.why_not(A))
        for _ in range(3):
            one.push.step()
        assert one.push._list.all[A].line_at >= 300
        one.push.look_again()
        one.until(lambda: one.push.watching == (A,))


class Odd:
    """A source of a host's own whose lines do as they like."""

    def __init__(self, fault: Exception, *, later: bool) -> None:
        self.fault, self.later, self.closed = fault, later, 0
        self.parked, self.due, self.hungry, self.wants_write = True, 1e9, True, False
        self._ours, self._theirs = socket.socketpair()

    def connect(self, stop: object, listener: object) -> object:
        raise self.fault

    def park(self, stop: object, listener: object, now: float) -> Odd:
        if not self.later:
            raise self.fault
        return self

    def fileno(self) -> int:
        return self._ours.fileno()

    def prove(self, now: float) -> None:
        self.due = now

    def turn(self, now: float) -> bool:
        raise self.fault

    def close(self) -> None:
        self.closed += 1
        self._ours.close()
        self._theirs.close()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("fault", [ValueError("x"), OSError("x"), LimitExceeded("too much")])
def test_a_source_that_raises_anything_costs_its_line_and_is_polled(
    tmp_path: Path, fault: Exception, later: bool
) -> None:
    odd = Odd(fault, later=later)
    with scene(tmp_path, source_of=lambda account: odd) as one:
        one.add(1)
        one.until(lambda: one.push.why_not(A))
        assert (odd.closed, one.push._lines, one.push.watching) == (int(later), {}, ())
        one.after(POLL_FIRST_SECONDS)
        one.settle(1)
        odd.close()


def test_mail_that_nobody_tells_of_is_asked_for(tmp_path: Path) -> None:
    with scene(tmp_path) as one:
        one.provider.add_account(Account(id=B, kind="maildir", path=tmp_path / "maildir"))
        one.until(lambda: one.push.why_not(B))
        one.after(POLL_FIRST_SECONDS)
        one.settle(1)
        assert one.ran[0].folder is None
