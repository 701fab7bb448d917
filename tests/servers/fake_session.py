"""One connection of the fake IMAP server: the loop, the login, what a session has selected and enabled.

Room: tests/servers. One thread runs one session; commands are answered strictly in order, so pipelining
works by itself. RFC 3501, RFC 4959 (SASL-IR), RFC 5161 (ENABLE), RFC 7162, RFC 7628 (OAUTHBEARER).
"""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from .fake_answer import Answer, Then
from .fake_model import FakeFolder, FakeMailbox
from .fake_wire import BadCommand, format_set, parse_command, read_command, upper

if TYPE_CHECKING:
    from .fakeimap import FakeImap

__all__ = ["Handler", "Session"]

Handler = Callable[["Session", Answer], None]

_LITERAL_OCTETS_MAX = 80_000_000


class Session:
    """State of one connection. Handlers (`fake_folders`, `fake_messages`) read and change it."""

    def __init__(self, server: FakeImap, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.selected: FakeFolder | None = None
        self.read_only = False
        self.enabled: set[str] = set()
        self.view: list[int] = []  # UIDs by sequence number, as this client was told
        self.seen_modseq = 0
        self.authenticated = server.preauth
        self.sent = bytearray()
        self.ended = threading.Event()
        self._stream: BinaryIO = sock.makefile("rb")

    @property
    def mailbox(self) -> FakeMailbox:
        return self.server.mailbox

    def can(self, capability: str) -> bool:
        return capability in self.server.capabilities

    def run(self) -> None:
        """Serve until the client leaves, the server stops, or a bend ends the connection."""
        try:
            if self.server.implicit_tls:
                self._start_tls()
            self._send(self.server.greeting_line())
            while self._serve_one():
                pass
        except OSError:
            return  # the other side, or stop(), closed the socket: the usual end of a test
        finally:
            self._stream.close()
            self.sock.close()

    def _serve_one(self) -> bool:
        raw = b""
        try:
            raw = read_command(
                self._readline,
                self._read,
                lambda: self._send(b"+ OK\r\n"),
                literal_plus=self.can("LITERAL+"),
                literal_minus=self.can("LITERAL-"),
            )
            if not raw:
                return False
            command = parse_command(raw)
        except BadCommand as fault:
            tag = raw.partition(b" ")[0] or b"*"
            self._send(tag + b" BAD " + str(fault).encode() + b"\r\n")
            return True
        self.server.commands.append(command)
        answer = Answer(command=command, folder=self.selected.wire_name if self.selected else None)
        with self.server.lock:
            try:
                self._handle(answer)
            except BadCommand as fault:
                answer.rows.clear()
                answer.completion = b"BAD " + str(fault).encode()
            self.server.faults.apply(answer)
        if command.name in ("SELECT", "EXAMINE") and not (answer.completion or b"").startswith(b"OK"):
            self.selected = None
        self._send(answer.octets())
        return self._afterwards(answer)

    def _handle(self, answer: Answer) -> None:
        name = answer.command.name
        if name in _ANY_STATE:
            _ANY_STATE[name](self, answer)
        elif not self.authenticated:
            raise BadCommand("log in first")
        elif name in self.server.handlers:
            self.server.handlers[name](self, answer)
            if not name.startswith(("FETCH", "STORE", "SEARCH")):
                # Updates come after the rows, before the completion (RFC 3501 section 5.2).
                answer.rows.extend(self.updates())
        else:
            raise BadCommand(f"unknown command {name}")

    def _afterwards(self, answer: Answer) -> bool:
        match answer.then:
            case Then.CLOSE:
                return False
            case Then.RESET:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case Then.SILENCE:
                while self._stream.read(1):
                    continue
                return False
            case Then.GO_ON:
                if answer.command.name == "STARTTLS" and (answer.completion or b"").startswith(b"OK"):
                    self._start_tls()
                return True

    # -- octets ---------------------------------------------------------------------------------

    def _send(self, octets: bytes) -> None:
        if octets:
            self.sock.sendall(octets)

    def _readline(self) -> bytes:
        line = self._stream.readline(_LITERAL_OCTETS_MAX)
        self.server.client_octets += line
        return line

    def _read(self, count: int) -> bytes:
        if count > _LITERAL_OCTETS_MAX:
            raise BadCommand("literal too long")
        octets = self._stream.read(count)
        self.server.client_octets += octets
        return octets

    def _start_tls(self) -> None:
        context = self.server.tls_context
        if context is None:
            raise RuntimeError("implicit_tls needs a tls_context")
        self._stream.close()
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self._stream = self.sock.makefile("rb")

    def ask(self, prompt: bytes) -> bytes:
        """Send a continuation with *prompt* and return the client's line without CRLF."""
        self._send(b"+ " + prompt + b"\r\n")
        return self._readline().rstrip(b"\r\n")

    # -- what the client knows of the selected folder ---------------------------------------------

    def unselect(self) -> None:
        self.selected = None
        self.view = []

    def updates(self) -> list[bytes]:
        """Return the untagged lines that bring the client's view up to date, and take them as told."""
        folder = self.selected
        if folder is None:
            return []
        rows: list[bytes] = []
        gone = [uid for uid in self.view if uid not in folder.messages]
        if gone:
            if "QRESYNC" in self.enabled:
                rows.append(b"* VANISHED " + format_set(gone))
                self.view = [uid for uid in self.view if uid in folder.messages]
            else:
                for uid in gone:
                    rows.append(b"* %d EXPUNGE" % (self.view.index(uid) + 1))
                    self.view.remove(uid)
        known = set(self.view)
        changed = [m for m in folder.messages.values() if m.modseq > self.seen_modseq and m.uid in known]
        for message in changed:
            items = [b"FLAGS (%b)" % b" ".join(sorted(message.flags))]
            if self.enabled:
                items.insert(0, b"MODSEQ (%d)" % message.modseq)
            if "QRESYNC" in self.enabled:
                items.insert(0, b"UID %d" % message.uid)  # without QRESYNC Dovecot 2.3 tells no UID either
            rows.append(b"* %d FETCH (%b)" % (self.view.index(message.uid) + 1, b" ".join(items)))
        if len(self.view) < len(folder.messages):
            self.view = list(folder.messages)
            rows += [b"* %d EXISTS" % len(self.view), b"* 0 RECENT"]
        self.seen_modseq = folder.highest_modseq
        return rows


# -- commands of any state ----------------------------------------------------------------------------


def _capability(session: Session, answer: Answer) -> None:
    answer.rows.append(b"* CAPABILITY " + session.server.capability_words())
    answer.completion = b"OK Capability completed"


def _noop(session: Session, answer: Answer) -> None:
    answer.rows.extend(session.updates())


def _logout(session: Session, answer: Answer) -> None:
    answer.rows.append(b"* BYE Logging out")
    answer.then = Then.CLOSE


def _id(session: Session, answer: Answer) -> None:
    if not session.can("ID"):
        raise BadCommand("ID is not announced")
    answer.rows.append(b'* ID ("name" "FakeImap")')


def _starttls(session: Session, answer: Answer) -> None:
    if session.server.tls_context is None or isinstance(session.sock, ssl.SSLSocket):
        raise BadCommand("no TLS here")
    answer.completion = b"OK Begin TLS negotiation now"


def _accept(session: Session, answer: Answer, *, welcome: bool) -> None:
    if not welcome:
        answer.completion = b"NO [AUTHENTICATIONFAILED] Authentication failed."
        return
    session.authenticated = True
    words = b"[CAPABILITY %b] " % session.server.capability_words() if session.server.tell_after_login else b""
    answer.completion = b"OK " + words + b"Logged in"


def _login(session: Session, answer: Answer) -> None:
    if session.can("LOGINDISABLED") or session.authenticated or len(answer.command.arguments) != 2:
        raise BadCommand("no LOGIN now")
    user, password = answer.command.arguments
    _accept(session, answer, welcome=session.server.knows(user, password))


def _authenticate(session: Session, answer: Answer) -> None:
    arguments = answer.command.arguments
    mechanism = upper(arguments[0]).decode("latin-1")
    if not session.can("AUTH=" + mechanism) or session.authenticated:
        answer.completion = b"NO Unsupported authentication mechanism."
        return
    if len(arguments) > 1 and not session.can("SASL-IR"):
        raise BadCommand("SASL-IR is not announced")
    text = arguments[1] if len(arguments) > 1 else session.ask(b"")
    if isinstance(text, list):
        raise BadCommand("base64 expected")
    if text == b"*":
        raise BadCommand("cancelled by the client")
    try:
        octets = b"" if text == b"=" else base64.b64decode(text, validate=True)
    except ValueError:
        raise BadCommand("bad base64") from None
    if mechanism == "PLAIN":
        _, _, pair = octets.partition(b"\0")
        user, _, secret = pair.partition(b"\0")
        _accept(session, answer, welcome=session.server.knows(user, secret))
        return
    user, token = _bearer(mechanism, octets)
    welcome = session.server.knows_token(user, token)
    if not welcome:
        session.ask(base64.b64encode(b'{"status":"invalid_token"}'))
    _accept(session, answer, welcome=welcome)


def _bearer(mechanism: str, octets: bytes) -> tuple[bytes, bytes]:
    """Return user and token of XOAUTH2 or OAUTHBEARER (RFC 7628 section 3.1)."""
    fields = octets.split(b"\x01")
    token = b"".join(f[len(b"auth=Bearer ") :] for f in fields if f.startswith(b"auth=Bearer "))
    if mechanism == "XOAUTH2":
        return fields[0].removeprefix(b"user="), token
    names = [part[2:] for part in fields[0].split(b",") if part.startswith(b"a=")]
    return b"".join(names), token


def _enable(session: Session, answer: Answer) -> None:
    if not session.can("ENABLE") or not session.authenticated:
        raise BadCommand("ENABLE is not announced")
    enabled = [
        word
        for word in (upper(argument).decode("latin-1") for argument in answer.command.arguments)
        if word in ("CONDSTORE", "QRESYNC") and session.can(word)
    ]
    session.enabled.update(enabled)
    answer.rows.append(b" ".join([b"* ENABLED", *(word.encode() for word in enabled)]))


_ANY_STATE: dict[str, Handler] = {
    "AUTHENTICATE": _authenticate,
    "CAPABILITY": _capability,
    "ENABLE": _enable,
    "ID": _id,
    "LOGIN": _login,
    "LOGOUT": _logout,
    "NOOP": _noop,
    "STARTTLS": _starttls,
}
