"""`FakeImap`: a small IMAP server that behaves, in memory, and lies on demand.

Room: tests/servers. Rules: one thread a connection, commands answered in order, the same script gives the
same octets; what the capabilities do not announce is BAD. `fake.faults.on("UID FETCH", hook)` bends answers
(`fake_answer`); folders and messages are changed through `fake.mailbox` under `fake.lock`.
RFC 3501 with LIST-STATUS, CONDSTORE, QRESYNC, ESEARCH, SPECIAL-USE, NAMESPACE, ID, ENABLE, LITERAL+, SASL-IR,
UNSELECT, UIDPLUS, MOVE, MULTIAPPEND, LITERAL-, CREATE-SPECIAL-USE, OBJECTID.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Collection, Iterable
from types import TracebackType

from . import fake_changes, fake_folders, fake_messages
from .fake_answer import Bends
from .fake_model import DEFAULT_DATE, FakeFolder, FakeMailbox
from .fake_session import Session
from .fake_wire import Command

__all__ = ["BARE", "FULL", "NO_CONDSTORE", "NO_QRESYNC", "FakeImap"]

FULL = frozenset(
    [
        "IMAP4rev1",
        "SASL-IR",
        "AUTH=PLAIN",
        "LITERAL+",
        "ID",
        "ENABLE",
        "NAMESPACE",
        "UNSELECT",
        "CHILDREN",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "SPECIAL-USE",
        "ESEARCH",
        "UIDPLUS",
        "MOVE",
        "CONDSTORE",
        "QRESYNC",
        "OBJECTID",
    ]
)
NO_QRESYNC = FULL - {"QRESYNC"}
NO_CONDSTORE = FULL - {"QRESYNC", "CONDSTORE", "ENABLE"}
BARE = frozenset({"IMAP4rev1", "AUTH=PLAIN"})

HANG_GUARD_SECONDS = 5.0


class FakeImap:
    """An IMAP server for one user. A context manager; also `connect()` for a socketpair without a port."""

    def __init__(
        self,
        *,
        capabilities: Collection[str] = FULL,
        delimiter: bytes | None = b"/",
        tls_context: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        preauth: bool = False,
    ) -> None:
        self.capabilities = frozenset(capabilities)
        self.user, self.password = "fake@example.org", "correct horse"
        self.tokens: dict[str, str] = {}
        """User to good bearer token (announce AUTH=XOAUTH2 or AUTH=OAUTHBEARER in *capabilities*)."""
        self.mailbox = FakeMailbox(delimiter)
        self.namespace = b'(("" %b)) NIL NIL' % (b'"' + delimiter + b'"' if delimiter else b"NIL")
        self.faults = Bends()
        self.lock = threading.RLock()
        self.commands: list[Command] = []
        """Every command of every connection, in order of arrival."""
        self.client_octets = bytearray()
        self.tls_context, self.implicit_tls, self.preauth = tls_context, implicit_tls, preauth
        self.greeting: bytes | None = None
        """The greeting without CRLF instead of the usual one; may break any rule."""
        self.append_octets_max = 2**40
        self.tell_in_greeting = True
        self.tell_after_login = True
        self.handlers = fake_folders.HANDLERS | fake_messages.HANDLERS | fake_changes.HANDLERS
        self.host, self.port = "127.0.0.1", 0
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._sessions: list[Session] = []
        self._failures: list[BaseException] = []

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> FakeImap:
        """Listen on a free loopback port."""
        self._listener = socket.create_server((self.host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept_all, self._listener)
        return self

    def stop(self) -> None:
        """End every connection; raises the first fault of the fake itself, so that it cannot hide."""
        if self._listener is not None:
            with contextlib.suppress(OSError):  # shutdown wakes accept(); macOS refuses it on a listener
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.disconnect_all()
        for thread in self._threads:
            thread.join(HANG_GUARD_SECONDS)
        hung = [thread.name for thread in self._threads if thread.is_alive()]
        if self._failures:
            raise self._failures[0]
        if hung:
            raise RuntimeError(f"these threads of the fake hang: {hung}")

    def __enter__(self) -> FakeImap:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def connect(self) -> socket.socket:
        """Return a connected socket: one end of a socketpair, the fake on the other."""
        ours, theirs = socket.socketpair()
        self._serve(theirs)
        return ours

    def disconnect_all(self) -> None:
        """Cut every connection as a crash of the server would."""
        for session in list(self._sessions):
            with contextlib.suppress(OSError):  # already closed by the client
                session.sock.shutdown(socket.SHUT_RDWR)

    def wait_quiet(self) -> None:
        """Wait until every connection has ended: a client that died leaves commands behind that are still answered."""
        for session in list(self._sessions):
            if not session.ended.wait(HANG_GUARD_SECONDS):
                raise RuntimeError("a session of the fake does not end")

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # stop() closed the listener
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        session = Session(self, sock)
        self._sessions.append(session)
        self._spawn(self._run, session)

    def _run(self, session: Session) -> None:
        try:
            session.run()
        except Exception as fault:
            self._failures.append(fault)
        finally:
            session.ended.set()

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=f"fakeimap-{len(self._threads)}", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    # -- what a test says -------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        return len(self._sessions)

    def add_folder(self, name: str | bytes, **attributes: object) -> FakeFolder:
        """Create a folder: text is a decoded path, bytes a wire name; *attributes* as in `FakeFolder`."""
        with self.lock:
            return self.mailbox.add_folder(name, **attributes)

    def append(
        self,
        folder: str | bytes,
        octets: bytes,
        flags: Iterable[bytes | str] = (),
        internal_date: str = DEFAULT_DATE,
        *,
        uid: int | None = None,
    ) -> int:
        """Add a message and return its UID."""
        with self.lock:
            return self.mailbox.folder(folder).append(octets, flags, internal_date, uid=uid)

    def folder(self, name: str | bytes) -> FakeFolder:
        """Return a folder; change it while holding `lock` when a client is connected."""
        return self.mailbox.folder(name)

    def set_flags(self, folder: str | bytes, uid: int, flags: Iterable[bytes | str]) -> None:
        with self.lock:
            self.mailbox.folder(folder).set_flags(uid, flags)

    def expunge(self, folder: str | bytes, *uids: int) -> None:
        with self.lock:
            self.mailbox.folder(folder).expunge(*uids)

    def rename_folder(self, old: str | bytes, new: str | bytes) -> None:
        with self.lock:
            self.mailbox.rename_folder(old, new)

    def delete_folder(self, name: str | bytes) -> None:
        with self.lock:
            self.mailbox.delete_folder(name)

    def reset_uid_validity(self, name: str | bytes) -> None:
        """Give the folder a new, higher UIDVALIDITY and its messages new UIDs."""
        with self.lock:
            self.mailbox.reset_uid_validity(name)

    def command_names(self) -> list[str]:
        """Return the names of the commands received so far."""
        return [command.name for command in self.commands]

    # -- what a session asks ------------------------------------------------------------------------

    def greeting_line(self) -> bytes:
        if self.greeting is not None:
            return self.greeting + b"\r\n"
        state = b"PREAUTH" if self.preauth else b"OK"
        words = b"[CAPABILITY %b] " % self.capability_words() if self.tell_in_greeting else b""
        return b"* " + state + b" " + words + b"FakeImap ready.\r\n"

    def capability_words(self) -> bytes:
        rest = sorted(self.capabilities - {"IMAP4rev1"})
        return " ".join(["IMAP4rev1", *rest]).encode()

    def knows(self, user: object, password: object) -> bool:
        return user == self.user.encode() and password == self.password.encode()

    def knows_token(self, user: bytes, token: bytes) -> bool:
        expected = self.tokens.get(user.decode("utf-8", "replace"))
        return expected is not None and token == expected.encode()
