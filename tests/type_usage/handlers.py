"""A plug-in and a host of handlers, as their type checker sees them. Never run; `make lint` checks it."""

from collections.abc import Iterable

from provider import ItemStatus, MailStoreProvider, Severity, Trigger
from provider.manager import (
    MAIL,
    Handler,
    HandlerCan,
    HandlerId,
    HandlerInfo,
    HandlerPolicy,
    HandlerRegistry,
    HandlerRule,
    HearsChanges,
    Item,
    ItemId,
    MailHandler,
    Refused,
    SessionCallback,
    SessionResult,
    StoreBook,
    SyncCenter,
    Verb,
)
from provider.testing.conformance import CHECKS, Subject, check
from store import MailStore


class Notes:
    """A handler as a plug-in writes it: no base class."""

    id = HandlerId("notes")

    def info(self) -> HandlerInfo:
        rule = HandlerRule(mask=HandlerPolicy.PREVENT_STOP_SYNC, reason="It is short.")
        return HandlerInfo(name="Notes", can=HandlerCan.CONCURRENT_SESSIONS, rules=(rule,))

    def items(self) -> Iterable[Item]:
        yield Item(id=ItemId("all"), name="All notes")

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        return trigger is not Trigger.IDLE

    def prepare(self, session: SessionCallback) -> None:
        answer: str | None = session.prompt("Password?", secret=True) if session.may_prompt else None
        if answer is None:
            session.report(Severity.WARNING, "Nobody answered")

    def synchronize(self, session: SessionCallback) -> None:
        for item in session.items:
            if session.progress(item, text="Reading", step=1, steps=2) is None:
                session.progress(item, ItemStatus.SUCCEEDED)

    def changed(self, verb: Verb, item: ItemId | None) -> None:
        """Hear what people chose."""


NOTES: Handler = Notes()
HEARS: HearsChanges = Notes()


class NotesSubject(Subject):
    def make(self) -> Handler:
        return Notes()


def conforms() -> None:
    for name in CHECKS:
        check(name, NotesSubject())


def host(store: MailStore, provider: MailStoreProvider) -> SessionResult | None:
    registry = HandlerRegistry()
    registry.register(MAIL, lambda: MailHandler(store, provider))
    registry.register("notes", Notes)
    with SyncCenter(registry, book=StoreBook(store)) as center:
        try:
            sessions = center.sync(MAIL, if_busy="skip", wait=True)
        except Refused as refused:
            print(refused)
            return None
        for view in center.handlers():
            print(view.info.name, view.offer(Verb.STOP).reason, [one.item.name for one in view.items])
        return sessions[0].result if sessions else None
