"""The handlers that go through the conformance suite: maildock's own, the example's, and one that does not behave."""

import importlib.util
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest import SkipTest

from provider import MailStoreProvider, Smtp
from provider.events import ItemStatus
from provider.manager.handlers.handler import Handler, HandlerId, HandlerInfo, Item, ItemId, SessionCallback
from provider.manager.handlers.progress import Patience
from provider.manager.mail.handler import MailHandler
from provider.manager.mail.items import account_item
from provider.request import Trigger
from provider.testing import Hang, MemoryServer, MemoryTransport
from provider.testing.handler_rig import Subject
from store import AccountId, open_store
from store.mail.conflicts import Choice, ConflictKind, NewConflict, Side, Version

ROOT = Path(__file__).parent.parent.parent
MAIL_BYTES = b"From: a@example.org\r\nSubject: hi\r\n\r\nx\r\n"


def example() -> ModuleType:
    """Import the example, which is a program and lies in no package."""
    found = importlib.util.spec_from_file_location("mirror_example", ROOT / "examples" / "mirror_handler.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["mirror_example"] = module
    found.loader.exec_module(module)
    return module


class Files(Subject):
    """The example: three folders of two files."""

    def __init__(self, path: Path) -> None:
        self.source, self.target = path / "source", path / "target"
        for name in "abc":
            (self.source / name).mkdir(parents=True)
            for number in range(2):
                (self.source / name / f"{number}.txt").write_text(name)
        self.target.mkdir()
        self._held, self._go, self._broken = threading.Event(), threading.Event(), ""
        self._go.set()

    def make(self) -> Handler:
        subject = self

        class Slow(example().Mirror):  # type: ignore[misc]  # it is imported by its path
            def copy(self, mine: Path, theirs: Path) -> None:
                if mine.parent.name == subject._broken:
                    raise PermissionError(13, "Permission denied")
                subject._held.set()
                subject._go.wait(subject.guard_seconds)
                super().copy(mine, theirs)

            def synchronize(self, session: SessionCallback) -> None:
                session.when_cancelled(lambda: subject._go.set() if not session.can_continue() else None)
                super().synchronize(session)

        made: Handler = Slow(self.source, self.target)
        return made

    def change(self) -> None:
        (self.source / "a" / "new.txt").write_text("new")

    def hold(self) -> None:
        self._held.clear()
        self._go.clear()

    def wait_held(self) -> ItemId:
        assert self._held.wait(self.guard_seconds)
        return ItemId("dir:a")

    def let_go(self) -> None:
        self._go.set()

    def fail(self) -> ItemId:
        self._broken = "b"
        return ItemId("dir:b")

    def grow(self) -> None:
        (self.source / "d").mkdir()

    def lose(self) -> ItemId:
        for one in (self.source / "c").iterdir():
            one.unlink()
        (self.source / "c").rmdir()
        return ItemId("dir:c")

    def ask(self) -> None:
        self.target.rmdir()

    def conflict(self) -> None:
        for name in "ab":
            (self.target / name).mkdir()
            (self.target / name / "0.txt").write_text("theirs")
            later = (self.source / name / "0.txt").stat().st_mtime + 60
            os.utime(self.target / name / "0.txt", (later, later))


class Mail(Subject):
    """maildock's own: two accounts on two servers in memory, one with a way out."""

    def __init__(self, path: Path) -> None:
        self.servers = {name: MemoryServer() for name in ("home", "work")}
        for server in self.servers.values():
            server.add_folder("Archive")
            for folder in ("INBOX", "Archive"):
                server.append(folder, MAIL_BYTES)
        self.store = open_store(path / "mail.db")
        self._hang: Hang | None = None
        accounts = [server.account(name) for name, server in self.servers.items()]
        accounts[0] = replace(accounts[0], smtp=Smtp(host="smtp.example.org"))
        self.provider = MailStoreProvider(self.store, accounts, transport_of=lambda one: MemoryTransport())

    def make(self) -> Handler:
        return MailHandler(self.store, self.provider)

    def change(self) -> None:
        self.servers["work"].append("INBOX", MAIL_BYTES)

    def hold(self) -> None:
        self._hang = self.servers["home"].faults.hang("connect")

    def wait_held(self) -> ItemId:
        assert self._hang is not None
        assert self._hang.entered.wait(self.guard_seconds)
        return account_item(AccountId("home"))

    def let_go(self) -> None:
        if self._hang is not None:
            self._hang.release()

    def fail(self) -> ItemId:
        self.servers["work"].faults.refuse_login()
        return account_item(AccountId("work"))

    def grow(self) -> None:
        self.servers["work"].add_folder("New")
        self.servers["work"].append("New", MAIL_BYTES)

    def lose(self) -> ItemId:
        self.provider.remove_account(AccountId("work"))
        return account_item(AccountId("work"))

    def conflict(self) -> None:
        with self.store.write("conflicts") as tx:
            tx.ensure_account(AccountId("home"))
            for _ in range(2):
                tx.settle.conflict(
                    NewConflict(
                        kind=ConflictKind.MOVED_TWICE,
                        account=AccountId("home"),
                        operation=None,
                        message=None,
                        versions=(Version(side=Side.MINE, place="A"), Version(side=Side.THEIRS, place="B")),
                        choices=(Choice.KEEP_MINE, Choice.KEEP_THEIRS),
                    )
                )

    def close(self) -> None:
        self.let_go()
        self.provider.close()
        self.store.close()


MISCHIEF = (
    "raises at once",
    "raises in the middle",
    "raises when asked",
    "hangs in prepare",
    "hangs in the middle",
    "hangs when asked",
    "ends twice",
    "runs backwards",
    "passes its end",
    "says nothing",
    "takes in what nobody chose",
    "asks without permission",
    "does not stop",
    "changes its ids",
    "has no name",
    "succeeds with everything",
)


class Bad(Subject):
    """A handler that breaks one rule."""

    patience = Patience(
        answer_seconds=0.3, prepare_seconds=0.3, prompt_seconds=0.3, silence_seconds=0.3, stop_seconds=0.3
    )

    def __init__(self, mischief: str) -> None:
        self.mischief = mischief
        self.freed = threading.Event()
        self.held, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.made = 0

    def make(self) -> Handler:
        self.made += 1
        return _Bad(self, self.made)

    def hold(self) -> None:
        self.held.clear()
        self.go.clear()

    def wait_held(self) -> ItemId:
        if not self.held.wait(0.5):
            raise AssertionError("it never began")
        return next(iter(self.make().items())).id

    def let_go(self) -> None:
        self.go.set()

    def ask(self) -> None:
        if self.mischief != "asks without permission":
            raise SkipTest("this subject never asks")

    def close(self) -> None:
        self.go.set()
        self.freed.set()


class _Bad:
    id = HandlerId("bad")

    def __init__(self, subject: Bad, number: int) -> None:
        self._subject, self._does, self._number = subject, subject.mischief, number

    def info(self) -> HandlerInfo:
        if self._does == "hangs when asked":
            self._subject.freed.wait(1.0)
        if self._does == "raises when asked":
            raise ZeroDivisionError
        return HandlerInfo(name="" if self._does == "has no name" else "Bad")

    def items(self) -> Iterable[Item]:
        more = f"-{self._number}" if self._does == "changes its ids" else ""
        return [Item(id=ItemId(f"{name}{more}"), name=name) for name in "ab"]

    def accepts(self, trigger: Trigger, cookie: str) -> bool:
        return True

    def prepare(self, session: SessionCallback) -> None:
        if self._does == "hangs in prepare":
            self._subject.freed.wait(1.0)
        if self._does == "raises at once":
            raise ZeroDivisionError
        if self._does == "asks without permission":
            session.prompt("May I?")

    def synchronize(self, session: SessionCallback) -> None:
        if self._does == "takes in what nobody chose":
            for one in self.items():
                if one.id not in session.items:
                    session.add_item(one.id)
        for item in session.items:
            self._one(session, item)

    def _one(self, session: SessionCallback, item: ItemId) -> None:
        session.progress(item, step=1, steps=3)
        self._subject.held.set()
        while not self._subject.go.wait(0.01) and (self._does == "does not stop" or session.can_continue(item)):
            pass
        stop = session.progress(item, step=2, steps=3)
        match self._does:
            case "raises in the middle":
                raise ZeroDivisionError
            case "hangs in the middle":
                self._subject.freed.wait(1.0)
            case "runs backwards":
                session.progress(item, step=1, steps=3)
            case "passes its end":
                session.progress(item, step=4, steps=3)
            case "says nothing":
                return
            case "does not stop" if stop:
                self._subject.freed.wait(1.0)
        if stop and self._does != "succeeds with everything":
            session.progress(item, ItemStatus.CANCELED)
            return
        session.progress(item, ItemStatus.SUCCEEDED)
        if self._does == "ends twice":
            session.progress(item, ItemStatus.FAILED)
