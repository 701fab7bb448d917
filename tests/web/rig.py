"""A whole Sync Center for tests: a store, servers in memory, and the real server on the loopback; a client for it.

Room: tests/web. The client is the stdlib's: it says what it is told to say, a wrong Host included.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode, urlsplit

from provider import MailStoreProvider
from provider.manager.control.desk import LocalDesk
from provider.manager.manager import SyncManager
from provider.monitor.beside import BesideDesk
from provider.monitor.serve import MonitorServer
from provider.testing import MemoryServer
from store import (
    AccountId,
    Choice,
    ConflictKind,
    FolderPath,
    Group,
    MailStore,
    MessageKey,
    NewConflict,
    RunError,
    Side,
    Version,
    open_store,
)

__all__ = ["GUARD_SECONDS", "Answer", "Client", "Site", "fill", "message"]

GUARD_SECONDS = 10.0


def message(subject: str, size: int = 400) -> bytes:
    head = f"From: Ann <ann@example.org>\r\nTo: jo@example.org\r\nSubject: {subject}\r\n\r\n"
    return head.encode() + b"Dear Jo, this is a line.\r\n" * (size // 26)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    text: str


class Site:
    """Sync Center of the accounts *servers*, by name, served until the end of the context."""

    def __init__(self, directory: Path, **servers: MemoryServer) -> None:
        self.servers = servers
        directory.mkdir(exist_ok=True)
        self.file = directory / "monitor.html"
        self.store = open_store(directory / "mail.db")
        self.provider = MailStoreProvider(self.store, [one.account(name) for name, one in servers.items()])
        self.manager = SyncManager(self.store, self.provider)
        self.alone = threading.Event()
        """Set when it would run the schedules itself."""
        # As `maildock monitor` has it: beside a daemon where there is one.
        desk = BesideDesk(LocalDesk(self.provider, self.manager), self.store.path, self.alone.set)
        self.server = MonitorServer(self.store, self.provider, self.manager, file=self.file, desk=desk)
        self._thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.stop()
        self.ended()
        self.manager.stop()
        self.provider.close()
        self.store.close()

    def ended(self) -> None:
        """Wait for the end of a server that was stopped."""
        self._thread.join(GUARD_SECONDS)
        assert not self._thread.is_alive(), "the server did not end"

    @property
    def base(self) -> str:
        """The address of the first page, without the slash at its end."""
        return self.server.url.partition("/enter")[0]

    def entered(self) -> Client:
        """A client that came in by the address."""
        client = Client(self)
        client.enter()
        return client


class Client:
    """Speaks to a site as a browser's page of it does, unless it is told otherwise."""

    def __init__(self, site: Site) -> None:
        self._parts = urlsplit(site.server.url)
        self.port = site.server.port
        self.host = f"127.0.0.1:{self.port}"
        self.room = f"/{self._parts.path.split('/')[1]}"
        self.token = self._parts.query.partition("=")[2]
        self.cookie = ""
        self.form_token = ""

    def enter(self) -> None:
        """Exchange the token for the cookie, and read what forms carry."""
        came = self.ask("GET", f"/enter?token={self.token}", {})
        assert came.status == 200
        self.cookie = came.headers["set-cookie"].partition(";")[0]
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.get("/").text)
        assert found is not None
        self.form_token = found[1]

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self.ask("GET", path, {"Cookie": self.cookie})

    def post(self, path: str, fields: Mapping[str, str] | None = None, **changed: str | None) -> Answer:
        """Send a form; *changed*: headers (with _ for -) that are said otherwise, None: not at all."""
        headers: dict[str, str | None] = {
            "Cookie": self.cookie,
            "Origin": f"http://{self.host}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        body = urlencode({"form_token": self.form_token, **(fields or {})})
        return self.ask("POST", path, {name: value for name, value in headers.items() if value is not None}, body)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: str | None = None) -> Answer:
        """Say exactly this; a Host that is not given is the right one."""
        line = HTTPConnection("127.0.0.1", self.port, timeout=GUARD_SECONDS)
        try:
            line.putrequest(method, self.room + path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": self.host, **headers}.items():
                line.putheader(name, value)
            octets = (body or "").encode()
            if body is not None and "Content-Length" not in headers:
                line.putheader("Content-Length", str(len(octets)))
            line.endheaders(octets or None)
            answer = line.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=told, text=answer.read().decode("utf-8"))
        finally:
            line.close()

    def events(self, page: str) -> Iterator[tuple[str, str]]:
        """Yield the live parts of a page, as (id, HTML), until the caller has enough."""
        line = HTTPConnection("127.0.0.1", self.port, timeout=GUARD_SECONDS)
        try:
            line.request("GET", f"{self.room}/live/{page}", headers={"Cookie": self.cookie})
            answer = line.getresponse()
            assert answer.status == 200, answer.status
            for raw in answer:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "data":
                    told = json.loads(value)
                    yield told["id"], told["html"]
        finally:
            line.close()


def fill(store: MailStore, text: str, account: str, message_key: MessageKey | None = None) -> None:
    """Let *text* stand wherever somebody else may have written what a page shows, of *account*."""
    name = AccountId(account)
    store.eventlog.record(name, [RunError(kind="command-refused", text=text, folder=text)])
    run = store.start_run(name, trigger=text, flags=0, owner="test")
    store.finish_run(
        run, status="failed", counts={"new": 1}, errors=[RunError(kind="protocol", text=text, folder=text)]
    )
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "me@example.org", "you@example.org", text
    letter.set_content("Hello")
    store.outbox.submit(name, letter)
    group = Group(name=text.strip(), accounts=(name,), folders=(FolderPath((text,)),))
    store.schedules.put_group(group)
    store.schedules.add(group.name, text, zone=text, next_run=None)
    versions = (
        Version(side=Side.MINE, place=text, flags=(text,)),
        Version(side=Side.THEIRS, place=text, deleted=True, flags=(text, text)),
    )
    with store.write("conflict") as tx:
        tx.settle.conflict(
            NewConflict(
                kind=ConflictKind.MOVED_TWICE,
                account=name,
                operation=None,
                message=message_key,
                versions=versions,
                choices=(Choice.KEEP_MINE, Choice.KEEP_THEIRS),
            )
        )
