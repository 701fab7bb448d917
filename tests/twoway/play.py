"""A scenario played: both sides in step, changed, synchronized, and judged.

Room: tests/twoway. What is judged after each: the server and the store have what the scenario says, and where nothing
is left to be sent they are equal to the UID; conflicts, what was told, and what is pending are those of the scenario;
every invariant of the store holds; one more synchronization changes nothing on the server and no row here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from provider import MailStoreProvider, SyncResult
from provider.request import SyncRequest
from provider.testing import ManualClock, RecordingCallback
from store import BodyState, Folder, FolderState, MailStore, MessageAdded, open_store
from store.mail import FolderPath

from ..crash.judge import unlike
from ..scenarios.rig import HANG_SECONDS, ME, rows_outside_runs, store_snapshot
from .hands import Hands, there
from .notation import Scenario, State, Step, Token, letter, tokens, told
from .servers import Far, Seen, labels_by_digest

__all__ = ["Played", "begin", "judge", "mail_in", "mail_on", "opened", "play", "take_steps"]

CONFLICT = "conflict"
"""The kind in which a conflict is told: what matters of it is judged in the store."""


@dataclass(slots=True)
class Played:
    """A scenario while it is played."""

    scenario: Scenario
    far: Far
    store: MailStore
    path: Path
    clock: ManualClock
    heard: set[str] = field(default_factory=set)
    """Kinds of everything that callbacks were told so far."""

    def synchronize(self) -> SyncResult:
        """Synchronize once; the log of its events obeys the grammar."""
        host = RecordingCallback()
        with MailStoreProvider(self.store, [self.far.account], clock=self.clock) as provider:
            result = provider.SynchronizeInBackground(SyncRequest(callback=host)).wait(HANG_SECONDS)
            assert host.wait_done(HANG_SECONDS)
        host.grammar()
        self.heard |= {error.kind.value for error in host.errors} - {CONFLICT}
        return result


@contextmanager
def opened(path: Path, clock: ManualClock) -> Iterator[MailStore]:
    """Open a store that lives by *clock*."""
    with open_store(path, clock=lambda: clock.now().timestamp()) as store:
        yield store


def play(scenario: Scenario, far: Far, path: Path, *, marked_stay: bool = False) -> None:
    """Play *scenario* from beginning to end; a failure shows it. *marked_stay*: see ``judge``."""
    clock = ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC))
    try:
        with opened(path, clock) as store:
            played = Played(scenario, far, store, path, clock)
            begin(played)
            keys = take_steps(played, scenario.steps)
            with store.read() as view:
                seen = view.cursor_seq()
            result = played.synchronize()
            assert result.status.value in ("complete", "complete-with-errors"), result.errors
            judge(played, marked_stay=marked_stay)
            alone = not any(step.there for step in scenario.steps) and not scenario.differs and not scenario.told
            if alone and not marked_stay:
                assert _keys(store) == keys, "messages have other keys than those that a person saw"
                assert _new_since(store, seen).isdisjoint(chain(*keys.values())), "what a person had is told as new"
    except Exception as error:
        raise AssertionError(f"{error}\n\n{scenario}") from error


def begin(played: Played) -> None:
    """Fill the server and bring the store in step."""
    for path, mail in played.scenario.base.items():
        if path != "INBOX":
            played.far.create(path)
        for token in tokens(" ".join(mail)):
            played.far.append(path, letter(token.label), token.flags)
    played.far.become(played.scenario.server)
    result = played.synchronize()
    assert result.ok and not played.heard, (result, played.heard)
    differences = unlike(store_snapshot(played.store), played.far.seen())
    assert differences == [], differences


def take_steps(played: Played, steps: tuple[Step, ...]) -> dict[str, list[int]]:
    """Do everything that comes before the last synchronization; return the keys that a person sees then, by label."""
    hands = Hands(played.store)
    for step in steps:
        match step.words:
            case ("sync",):
                played.synchronize()
            case "wait", hours:
                played.clock.advance(float(hours[0].removesuffix("h")) * 3_600)
            case words if step.there:
                there(played.far, words)
            case words:
                hands.do(words)
    assert played.store.check().problems == (), "before the last synchronization"
    return _keys(played.store)


def judge(played: Played, *, once: bool = True, again: bool = True, marked_stay: bool = False) -> None:
    """Compare everything with what the scenario says. *once*: what callbacks heard is that of an undisturbed play;
    *again*: one more synchronization changes nothing; *marked_stay*: the server cannot remove certain messages only, so
    that they stay there, marked as deleted."""
    scenario, store, far = played.scenario, played.store, played.far
    assert (report := store.check(full=True)).problems == (), report.problems
    server = far.seen()
    on_server, here = mail_on(server, scenario), mail_in(store)
    if marked_stay:
        on_server, here = _without_marked(on_server, scenario.after), _without_marked(here, scenario.here)
    _same("the server", on_server, scenario.after)
    _same("the store", here, scenario.here)
    with store.read() as view:
        pending = sorted(one.state.value for one in view.operations(ME))
        found = sorted(one.found.kind.value for one in view.conflicts(ME, open=False))
    assert pending == list(scenario.pending), f"left to be sent: {pending}"
    assert found == list(scenario.conflicts), f"conflicts: {found}"
    if once:
        heard = played.heard - {"left-marked"} if marked_stay else played.heard
        assert heard == scenario.told, f"told: {sorted(heard)}"
    if not scenario.differs and not scenario.pending:
        differences = unlike(store_snapshot(store), server)
        assert differences == [], differences
    if scenario.subscribed is not None:
        assert far.subscribed() == scenario.subscribed, f"subscribed: {sorted(far.subscribed())}"
    if not again:
        return
    if not once:
        played.synchronize()  # a folder that was made anew is called stable by a quiet visit
        assert far.seen() == server, "a further synchronization changed the server"
    before = rows_outside_runs(played.path)
    played.synchronize()
    assert far.seen() == server, "one more synchronization changed the server"
    after = rows_outside_runs(played.path)
    written = {table: (_only(before[table], after[table]), _only(after[table], before[table])) for table in before}
    assert before == after, f"one more synchronization wrote rows: { {t: w for t, w in written.items() if any(w)} }"


def _only(some: list[tuple[object, ...]], others: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [row for row in some if row not in others]


def _same(whose: str, found: State, wanted: State) -> None:
    assert found == wanted, f"{whose} has {told(found)}"


def _without_marked(found: State, wanted: State) -> State:
    """Return *found* without what is marked as deleted and not *wanted* so."""
    return {
        path: tuple(one for one in mail if one in wanted.get(path, ()) or "\\Deleted" not in next(tokens(one)).flags)
        for path, mail in found.items()
    }


def mail_on(server: Seen, scenario: Scenario) -> State:
    """Return what a server has in the notation's words."""
    known = labels_by_digest(_labels(scenario))
    return {
        str(FolderPath(folder.path)): tuple(
            sorted(
                str(Token(known.get(one.octets, "?"), frozenset(flag.decode() for flag in one.flags)))
                for one in folder.messages.values()
            )
        )
        for folder in server.values()
    }


def mail_in(store: MailStore) -> State:
    """Return what a person sees in the store, in the notation's words; a message without its octets has a question
    mark behind its label."""
    state: State = {}
    with store.read() as view:
        folders = view.folders(ME)
        for folder in filter(_shown, folders):
            page = view.messages(folder.id, limit=10_000).messages
            state[str(folder.path)] = tuple(
                sorted(str(Token(m.subject + ("" if m.body is BodyState.FULL else "?"), m.flags)) for m in page)
            )
    return state


def _shown(folder: Folder) -> bool:
    return folder.state is not FolderState.MISSING


def _labels(scenario: Scenario) -> set[str]:
    found = {
        token.label for mail in (*scenario.base.values(), *scenario.after.values()) for token in tokens(" ".join(mail))
    }
    for step in scenario.steps:
        if step.words[0] in ("append", "replace"):
            found |= {token.label for token in tokens(step.words[1 if step.words[0] == "append" else 3])}
    return found


def _new_since(store: MailStore, seen: int) -> set[int]:
    """Return the keys that a host that knows everything up to *seen* is told as added."""
    changes = store.changes(seen).changes
    return {int(one.key) for one in changes if isinstance(one, MessageAdded)}


def _keys(store: MailStore) -> dict[str, list[int]]:
    keys: dict[str, list[int]] = {}
    with store.read() as view:
        for message in sorted(view.all_messages(ME, limit=10_000).messages, key=lambda message: message.key):
            keys.setdefault(message.subject, []).append(int(message.key))
    return keys
